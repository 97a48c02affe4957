package group

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Versions that are written, as by Kafka with inter.broker.protocol.version 3.9. An offset with an expiry of
// its own goes into a version that has a field for it, and loses its leader epoch.
const (
	offsetKeyVersion        = 1
	metadataKeyVersion      = 2
	offsetValueVersion      = 3
	offsetValueExpiring     = 1
	metadataValueVersion    = 3
	offsetValueVersionMax   = 4
	metadataValueVersionMax = 4
)

// ErrUnknownRecord reports a key of a version that is not ours: the group protocol of KRaft, or a later one.
var ErrUnknownRecord = errors.New("record of an unknown version")

// offsetKey returns the key of the record with the offset of p.
func offsetKey(group string, p topic.Partition) []byte { return appendOffsetKey(nil, group, p) }

func appendOffsetKey(dst []byte, group string, p topic.Partition) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: p.Topic, Partition: p.Index}
	return k.AppendTo(dst)
}

// metadataKey returns the key of the record with the metadata of group.
func metadataKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: metadataKeyVersion, Group: group}
	return k.AppendTo(nil)
}

func appendOffsetValue(dst []byte, o *Offset) []byte {
	v := kmsg.NewOffsetCommitValue()
	v.Version = offsetValueVersion
	if o.ExpireTimestamp >= 0 {
		v.Version, v.ExpireTimestamp = offsetValueExpiring, o.ExpireTimestamp
	}
	v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp = o.Offset, o.LeaderEpoch, o.Metadata, o.CommitTimestamp
	return v.AppendTo(dst)
}

// offsetRecordMax bounds the size of a record's key and value without its strings.
const offsetRecordMax = 2 + 2 + 2 + 4 + 2 + 8 + 4 + 2 + 8 + 8

// offsetRecords returns the records of offsets, which share one piece of memory.
func offsetRecords(group string, offsets []PartitionOffset) []Record {
	size := 0
	for i := range offsets {
		size += offsetRecordMax + len(group) + len(offsets[i].Topic) + len(offsets[i].Metadata)
	}
	buf := make([]byte, 0, size)
	records := make([]Record, len(offsets))
	for i := range offsets {
		o := &offsets[i]
		start := len(buf)
		buf = appendOffsetKey(buf, group, o.Partition)
		middle := len(buf)
		buf = appendOffsetValue(buf, &o.Offset)
		records[i] = Record{Key: buf[start:middle:middle], Value: buf[middle:len(buf):len(buf)]}
	}
	return records
}

// value returns the value of the record with g's metadata, with assignments or, if nil, those of the members.
func (g *Group) value(assignments map[string][]byte) []byte {
	v := kmsg.NewGroupMetadataValue()
	v.Version = metadataValueVersion
	v.ProtocolType, v.Generation, v.Protocol, v.CurrentStateTimestamp = g.typed(), g.generation, g.protocol, g.since
	if g.leader != "" {
		v.Leader = &g.leader
	}
	for _, m := range g.order {
		o := kmsg.NewGroupMetadataValueMember()
		o.MemberID, o.InstanceID, o.ClientID, o.ClientHost = m.id, m.instance, m.clientID, m.clientHost
		o.RebalanceTimeoutMillis, o.SessionTimeoutMillis = int32(m.rebalanceTimeout.Milliseconds()), int32(m.sessionTimeout.Milliseconds())
		o.Subscription, o.Assignment = m.metadata(deref(g.protocol)), m.assignment
		if assignments != nil {
			o.Assignment = assignments[m.id]
		}
		v.Members = append(v.Members, o)
	}
	return v.AppendTo(nil)
}

// parsedKey is a decoded key of __consumer_offsets: of an offset if offset is set, else of a group's metadata. Its names lie in the record.
type parsedKey struct {
	group, topic []byte
	partition    int32
	offset       bool
	size         int // of the key, without what may follow it
}

// keyVersionSize is how many bytes the version takes that every key begins with.
const keyVersionSize = 2

// isOffsetKey reports whether b begins as the key of an offset does, of which there are two versions that do not differ.
func isOffsetKey(b []byte) bool {
	return len(b) >= keyVersionSize && b[0] == 0 && b[1] <= offsetKeyVersion
}

func parseKey(b []byte) (parsedKey, error) {
	if len(b) < keyVersionSize {
		return parsedKey{}, fmt.Errorf("key of %d bytes", len(b))
	}
	version := int16(binary.BigEndian.Uint16(b))
	rest := b[keyVersionSize:]
	var k parsedKey
	ok := false
	switch {
	case isOffsetKey(b):
		k, ok = parseOffsetKey(rest)
	case version == metadataKeyVersion:
		k.group, _, ok = cutString(rest)
	default:
		return parsedKey{}, fmt.Errorf("key version %d: %w", version, ErrUnknownRecord)
	}
	if !ok {
		return parsedKey{}, fmt.Errorf("key of version %d ends early", version)
	}
	return k, nil
}

// parseOffsetKey decodes the key of an offset without its version. It reports false if the key ends early.
func parseOffsetKey(b []byte) (k parsedKey, ok bool) {
	k.offset = true
	rest := b
	if k.group, rest, ok = cutString(rest); !ok {
		return k, false
	}
	if k.topic, rest, ok = cutString(rest); !ok || len(rest) < 4 {
		return k, false
	}
	k.partition = int32(binary.BigEndian.Uint32(rest))
	k.size = keyVersionSize + len(b) - len(rest) + 4
	return k, true
}

// cutString takes a string with its length before it off b.
func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n > math.MaxInt16 || n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// decode makes o of the value of an offset. Where o had the same metadata, as mostly when commits follow each other, it
// keeps it. An error leaves o as it was.
func (o *Offset) decode(b []byte) error {
	if err := checkVersion(b, offsetValueVersionMax); err != nil {
		return fmt.Errorf("value of an offset: %w", err)
	}
	version := int16(binary.BigEndian.Uint16(b))
	if version > offsetValueVersion {
		return o.decodeFlexible(b)
	}
	before, after := 8, 8 // bytes around the metadata
	switch version {
	case offsetValueVersion:
		before += 4
	case offsetValueExpiring:
		after += 8
	}
	var metadata, rest []byte
	ok := false
	if b = b[2:]; len(b) > before {
		metadata, rest, ok = cutString(b[before:])
	}
	if !ok || len(rest) < after {
		return fmt.Errorf("value of an offset of version %d ends early", version)
	}
	o.Offset, o.LeaderEpoch = int64(binary.BigEndian.Uint64(b)), -1
	if version == offsetValueVersion {
		o.LeaderEpoch = int32(binary.BigEndian.Uint32(b[8:]))
	}
	if o.Metadata != string(metadata) {
		o.Metadata = string(metadata)
	}
	o.CommitTimestamp, o.ExpireTimestamp = int64(binary.BigEndian.Uint64(rest)), -1
	if version == offsetValueExpiring {
		o.ExpireTimestamp = int64(binary.BigEndian.Uint64(rest[8:]))
	}
	return nil
}

// decodeFlexible is decode for the flexible versions, which other brokers may have written.
func (o *Offset) decodeFlexible(b []byte) error {
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(b); err != nil {
		return fmt.Errorf("value of an offset: %w", err)
	}
	*o = Offset{Offset: v.Offset, LeaderEpoch: v.LeaderEpoch, Metadata: v.Metadata, CommitTimestamp: v.CommitTimestamp, ExpireTimestamp: -1}
	return nil
}

func checkVersion(b []byte, newest int16) error {
	if len(b) < 2 {
		return fmt.Errorf("%d bytes", len(b))
	}
	if version := int16(binary.BigEndian.Uint16(b)); version < 0 || version > newest {
		return fmt.Errorf("version %d: %w", version, ErrUnknownRecord)
	}
	return nil
}

// decodeGroup makes a group of the value of its metadata: Stable, or Empty if it has no members. Each member
// knows the one protocol that the group had chosen.
func decodeGroup(id string, b []byte, config *Config, now time.Time) (*Group, error) {
	if err := checkVersion(b, metadataValueVersionMax); err != nil {
		return nil, fmt.Errorf("metadata of group %s: %w", id, err)
	}
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("metadata of group %s: %w", id, err)
	}
	g := New(id, config, now)
	if g.generation, g.protocol, g.since = v.Generation, v.Protocol, -1; v.ProtocolType != "" {
		g.protocolType = &v.ProtocolType
	}
	if v.Version >= 2 {
		g.since = v.CurrentStateTimestamp
	}
	for i := range v.Members {
		o := &v.Members[i]
		if g.members[o.MemberID] != nil {
			return nil, fmt.Errorf("metadata of group %s: member %s is there twice", id, o.MemberID)
		}
		m := &member{
			id: o.MemberID, instance: o.InstanceID, clientID: o.ClientID, clientHost: o.ClientHost,
			sessionTimeout: millis(o.SessionTimeoutMillis), rebalanceTimeout: millis(o.RebalanceTimeoutMillis),
			protocols:  []Protocol{{deref(v.Protocol), bytes.Clone(o.Subscription)}},
			assignment: bytes.Clone(o.Assignment),
		}
		if v.Version == 0 {
			m.rebalanceTimeout = m.sessionTimeout
		}
		g.add(m, v.ProtocolType)
		g.state = Stable
	}
	if v.Leader != nil && g.members[*v.Leader] != nil {
		g.leader = *v.Leader
	}
	g.subscribe()
	g.fx = Effects{}
	return g, nil
}
