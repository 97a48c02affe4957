package group

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Loading makes the groups of a partition of __consumer_offsets from its records, in their order. Its memory
// follows what is alive, not what there ever was.
//
// Offsets are found by the bytes of their keys until all records are there: a partition's history is mostly the same
// keys again and again. Finding one costs a look at the place that its hash has among the recent ones or, if another
// key is there, one into a map.
//
// Invariant: who is in recent is in offsets.
type Loading struct {
	config  *Config
	groups  map[string]*Group // with metadata
	offsets keyed
	txn     map[int64]keyed // pending, by producer id
	recent  [recentKeys]*keyedOffset
}

// keyed are offsets by the keys of their records, of which the version is left out.
type keyed map[string]*keyedOffset

// keyedOffset is an offset with its key.
type keyedOffset struct {
	key string
	stored
}

// recentKeys is how many keys are found without the map, at most; a power of two.
const (
	recentBits = 12
	recentKeys = 1 << recentBits
)

// place returns the place among the recent keys of one that is at least a word long. Its hash needs to be quick and
// no more: keys that share a place are found in the map.
func place(key []byte) uint64 {
	h := binary.LittleEndian.Uint64(key[len(key)-8:])
	for len(key) > 8 {
		h = bits.RotateLeft64(h, 23) ^ binary.LittleEndian.Uint64(key)
		key = key[8:]
	}
	return h * 0x9e3779b97f4a7c15 >> (64 - recentBits)
}

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
func (l *Loading) Add(key, value []byte, at *Place, now time.Time) error {
	if !at.Transactional && value != nil && len(key) >= keyVersionSize+8 && isOffsetKey(key) {
		key := key[keyVersionSize:]
		if had := l.recent[place(key)]; had != nil && had.key == string(key) {
			return had.take(value, at)
		}
	}
	return l.add(key, value, at, now)
}

// take gives o the value of a record at at. An error leaves o as it was.
func (o *keyedOffset) take(value []byte, at *Place) error {
	err := o.decode(value)
	if err == nil {
		o.batch = at.Batch
	}
	return err
}

// add is Add for what is not among the recent keys.
func (l *Loading) add(key, value []byte, at *Place, now time.Time) error {
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	if !k.offset {
		return l.addMetadata(string(k.group), value, now)
	}
	into := l.offsets
	if at.Transactional {
		if into = l.txn[at.ProducerID]; into == nil {
			into = keyed{}
			l.txn[at.ProducerID] = into
		}
	}
	key = key[keyVersionSize:k.size]
	had := into[string(key)]
	if value == nil {
		delete(into, string(key))
		if !at.Transactional {
			l.forget(key)
		}
		return nil
	}
	o := had
	if had == nil {
		o = &keyedOffset{}
	}
	if err := o.take(value, at); err != nil {
		return err
	}
	if had == nil {
		o.key = string(key)
		into[o.key] = o
	}
	if !at.Transactional {
		l.recent[place(key)] = o
	}
	return nil
}

// forget takes key out of the recent ones.
func (l *Loading) forget(key []byte) {
	if o := l.recent[place(key)]; o != nil && o.key == string(key) {
		l.recent[place(key)] = nil
	}
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
		switch had := l.offsets[key]; {
		case had == nil:
			l.offsets[key] = o
		case had.batch < o.batch:
			had.stored = o.stored
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
			do(g, topic.Partition{Topic: name, Index: k.partition}, o.stored)
		}
	}
	each(l.offsets, func(g *Group, p topic.Partition, o stored) { g.offsets[p] = o })
	for producer, offsets := range l.txn {
		each(offsets, func(g *Group, p topic.Partition, o stored) { g.pend(producer, p, o) })
	}
	return l.groups
}
