package group

import (
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Loading makes the groups of a partition of __consumer_offsets from its records, in their order. Its memory
// follows what is alive, not what there ever was.
//
// Offsets are found by the bytes of their keys until all records are there: a partition's history is mostly the same
// keys again and again, and finding one costs one look into a map.
type Loading struct {
	config  *Config
	groups  map[string]*Group // with metadata
	offsets keyed
	txn     map[int64]keyed // pending, by producer id
}

// keyed are offsets by the keys of their records, of which the version is left out.
type keyed map[string]*stored

// NewLoading returns a Loading that has read nothing.
func NewLoading(config *Config) *Loading {
	return &Loading{config: config, groups: map[string]*Group{}, offsets: keyed{}, txn: map[int64]keyed{}}
}

// Place says where a record is.
type Place struct {
	Batch         int64 // base offset of its batch
	ProducerID    int64
	Transactional bool
}

// Add takes in a record; value is nil for a tombstone. Neither is kept. An error says that the record cannot be
// understood, and has not been taken in.
func (l *Loading) Add(key, value []byte, at Place, now time.Time) error {
	into := l.offsets
	if at.Transactional {
		if into = l.txn[at.ProducerID]; into == nil {
			into = keyed{}
			l.txn[at.ProducerID] = into
		}
	}
	var had *stored
	if isOffsetKey(key) {
		had = into[string(key[keyVersionSize:])]
	}
	if had == nil {
		k, err := parseKey(key)
		if err != nil {
			return err
		}
		if !k.offset {
			return l.addMetadata(string(k.group), value, now)
		}
		key = key[:k.size]
	}
	if value == nil {
		delete(into, string(key[keyVersionSize:]))
		return nil
	}
	o := had
	if had == nil {
		o = &stored{}
	}
	if err := o.decode(value); err != nil {
		return err
	}
	if o.batch = at.Batch; had == nil {
		into[string(key[keyVersionSize:])] = o
	}
	return nil
}

func (l *Loading) addMetadata(id string, value []byte, now time.Time) error {
	if value == nil {
		delete(l.groups, id)
		return nil
	}
	g, err := decodeGroup(id, value, l.config, now)
	if err == nil {
		l.groups[id] = g
	}
	return err
}

// EndTransaction takes in a transaction marker: what the producer has committed counts, where it is newer than
// what there is, or is dropped.
func (l *Loading) EndTransaction(producerID int64, commit bool) {
	pending := l.txn[producerID]
	delete(l.txn, producerID)
	if !commit {
		return
	}
	for key, o := range pending {
		if had := l.offsets[key]; had == nil || had.batch < o.batch {
			l.offsets[key] = o
		}
	}
}

// Groups returns the groups. Those without members that have offsets only belong to consumers that manage
// their partitions themselves. The Loading is of no use afterwards.
func (l *Loading) Groups(now time.Time) map[string]*Group {
	topics := map[string]string{} // one copy of each topic's name
	each := func(offsets keyed, do func(g *Group, p topic.Partition, o stored)) {
		for key, o := range offsets {
			k, ok := parseOffsetKey([]byte(key))
			if !ok {
				continue // it could be parsed when it was added
			}
			g := l.groups[string(k.group)]
			if g == nil {
				g = New(string(k.group), l.config, now)
				l.groups[g.ID] = g
			}
			name, ok := topics[string(k.topic)]
			if !ok {
				name = string(k.topic)
				topics[name] = name
			}
			do(g, topic.Partition{Topic: name, Index: k.partition}, *o)
		}
	}
	each(l.offsets, func(g *Group, p topic.Partition, o stored) { g.offsets[p] = o })
	for producer, offsets := range l.txn {
		each(offsets, func(g *Group, p topic.Partition, o stored) { g.pend(producer, p, o) })
	}
	return l.groups
}
