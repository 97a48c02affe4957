package group

import (
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Loading makes the groups of a partition of __consumer_offsets from its records, in their order. Its memory
// follows what is alive, not what there ever was.
type Loading struct {
	config  *Config
	groups  map[string]*Group // nil Group: none with metadata
	offsets map[string]map[topic.Partition]stored
	txn     map[int64]map[string]map[topic.Partition]stored
	names   map[string]string // one copy of each group's and topic's name
}

// NewLoading returns a Loading that has read nothing.
func NewLoading(config *Config) *Loading {
	return &Loading{
		config: config, groups: map[string]*Group{}, offsets: map[string]map[topic.Partition]stored{},
		txn: map[int64]map[string]map[topic.Partition]stored{}, names: map[string]string{},
	}
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
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	if !k.offset {
		return l.addMetadata(l.intern(k.group), value, now)
	}
	into := l.offsets
	if at.Transactional {
		if into = l.txn[at.ProducerID]; into == nil {
			into = map[string]map[topic.Partition]stored{}
			l.txn[at.ProducerID] = into
		}
	}
	p := topic.Partition{Topic: l.intern(k.topic), Index: k.partition}
	offsets := into[string(k.group)]
	if value == nil {
		if delete(offsets, p); len(offsets) == 0 {
			delete(into, string(k.group))
		}
		return nil
	}
	o, metadata, err := parseOffset(value)
	if err != nil {
		return fmt.Errorf("group %s: %w", k.group, err)
	}
	if len(metadata) > 0 {
		if o.Metadata = offsets[p].Metadata; o.Metadata != string(metadata) { // mostly it is the one from before
			o.Metadata = string(metadata)
		}
	}
	if offsets == nil {
		offsets = map[topic.Partition]stored{}
		into[l.intern(k.group)] = offsets
	}
	offsets[p] = stored{o, at.Batch}
	return nil
}

func (l *Loading) addMetadata(id string, value []byte, now time.Time) error {
	if value == nil {
		delete(l.groups, id)
		return nil
	}
	g, err := Decode(id, value, l.config, now)
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
	for id, offsets := range pending {
		for p, o := range offsets {
			if had, ok := l.offsets[id][p]; !ok || had.batch < o.batch {
				put(l.offsets, id, p, o)
			}
		}
	}
}

// Groups returns the groups. Those without members that have offsets only belong to consumers that manage
// their partitions themselves. The Loading is of no use afterwards.
func (l *Loading) Groups(now time.Time) map[string]*Group {
	of := func(id string) *Group {
		g := l.groups[id]
		if g == nil {
			g = New(id, l.config, now)
			l.groups[id] = g
		}
		return g
	}
	for id, offsets := range l.offsets {
		of(id).offsets = offsets
	}
	for producer, byGroup := range l.txn {
		for id, offsets := range byGroup {
			of(id).txns.load(producer, offsets)
		}
	}
	return l.groups
}

func (l *Loading) intern(b []byte) string {
	if same, ok := l.names[string(b)]; ok {
		return same
	}
	s := string(b)
	l.names[s] = s
	return s
}

func put(into map[string]map[topic.Partition]stored, id string, p topic.Partition, o stored) {
	offsets := into[id]
	if offsets == nil {
		offsets = map[topic.Partition]stored{}
		into[id] = offsets
	}
	offsets[p] = o
}
