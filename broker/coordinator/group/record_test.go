package group

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Records as Kafka's own classes write them.
const (
	kafkaOffsetKey      = "000100016700017400000007"
	kafkaOffset         = "000300000000000000640000000500026d6400000000000003e8"
	kafkaOffsetExpiring = "0001000000000000006400026d6400000000000003e800000000000007d0"
	kafkaMetadataKey    = "0002000167"
	kafkaMetadata       = "00030008636f6e73756d657200000003000572616e676500026d3100000000000003e80000000100026d310002693100016300082f312e322e332e340000ea60000027100000000201020000000103"
	kafkaMetadata4      = "000409636f6e73756d6572000000030672616e6765036d3100000000000003e802036d310369310263092f312e322e332e340000ea600000271003010202030000"
)

func offsetValue(o *Offset) []byte { return appendOffsetValue(nil, o) }

func decodeOffset(b []byte) (o Offset, err error) {
	err = o.decode(b)
	return o, err
}

// recordKey is a decoded key: of an offset, or of a group's metadata.
type recordKey struct {
	group     string
	offset    bool
	partition topic.Partition
}

func decodeKey(b []byte) (recordKey, error) {
	k, err := parseKey(b)
	return recordKey{string(k.group), k.offset, topic.Partition{Topic: string(k.topic), Index: k.partition}}, err
}

func TestRecordsAreKafkas(t *testing.T) {
	config := &Config{MaxSize: 10}
	g, err := decodeGroup("g", unhex(t, kafkaMetadata), config, time.UnixMilli(5))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		got        []byte
	}{
		{"offset key", kafkaOffsetKey, offsetKey("g", topic.Partition{Topic: "t", Index: 7})},
		{"offset", kafkaOffset, offsetValue(&Offset{100, 5, "md", 1000, -1})},
		{"offset that expires", kafkaOffsetExpiring, offsetValue(&Offset{100, 5, "md", 1000, 2000})},
		{"group key", kafkaMetadataKey, metadataKey("g")},
		{"group", kafkaMetadata, g.value(nil)},
	} {
		if !bytes.Equal(tt.got, unhex(t, tt.want)) {
			t.Errorf("%s: %x, want %s", tt.name, tt.got, tt.want)
		}
	}
	if newest, err := decodeGroup("g", unhex(t, kafkaMetadata4), config, time.UnixMilli(5)); err != nil || !bytes.Equal(newest.value(nil), g.value(nil)) {
		t.Errorf("version 4 of the group: %v", err)
	}
	if g.State() != Stable || g.leader != "m1" || g.generation != 3 || g.since != 1000 || g.members["m1"].rebalanceTimeout != time.Minute {
		t.Errorf("group is %+v", g)
	}
	for value, want := range map[string]Offset{
		kafkaOffset:         {100, 5, "md", 1000, -1},
		kafkaOffsetExpiring: {100, -1, "md", 1000, 2000},
		"0000000000000000006400026d6400000000000003e8": {100, -1, "md", 1000, -1},
		"0002000000000000006400026d6400000000000003e8": {100, -1, "md", 1000, -1},
	} {
		if got, err := decodeOffset(unhex(t, value)); err != nil || got != want {
			t.Errorf("offset %s: %+v, %v, want %+v", value, got, err, want)
		}
	}
	if k, err := decodeKey(unhex(t, kafkaOffsetKey)); err != nil || k != (recordKey{"g", true, topic.Partition{Topic: "t", Index: 7}}) {
		t.Errorf("offset key: %+v, %v", k, err)
	}
}

// TestOldGroupMetadata reads the versions that brokers before 2.3 have written.
func TestOldGroupMetadata(t *testing.T) {
	for version, value := range map[int]string{
		0: "00000008636f6e73756d657200000003000572616e676500026d310000000100026d3100016300082f312e322e332e34000027100000000201020000000103",
		1: "00010008636f6e73756d657200000003000572616e676500026d310000000100026d3100016300082f312e322e332e340000ea60000027100000000201020000000103",
		2: "00020008636f6e73756d657200000003000572616e676500026d3100000000000003e80000000100026d3100016300082f312e322e332e340000ea60000027100000000201020000000103",
	} {
		g, err := decodeGroup("g", unhex(t, value), &Config{}, time.UnixMilli(5))
		if err != nil {
			t.Errorf("version %d: %v", version, err)
			continue
		}
		m := g.members["m1"]
		rebalance := time.Minute
		if version == 0 {
			rebalance = 10 * time.Second
		}
		if m.sessionTimeout != 10*time.Second || m.rebalanceTimeout != rebalance || m.instance != nil || (g.since == 1000) != (version == 2) {
			t.Errorf("version %d: %+v, since %d", version, m, g.since)
		}
	}
}

func TestUnknownRecords(t *testing.T) {
	for _, key := range []string{"0003", "000c000167", "ffff"} {
		if _, err := decodeKey(unhex(t, key)); !errors.Is(err, ErrUnknownRecord) {
			t.Errorf("key %s: %v", key, err)
		}
	}
	if _, err := decodeOffset(unhex(t, "0005")); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("offset of version 5: %v", err)
	}
	if _, err := decodeGroup("g", unhex(t, "0005"), &Config{}, time.Time{}); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("group of version 5: %v", err)
	}
}

// TestLoading loads what a transactional producer has committed, and drops what it has aborted, is dead or is cut.
func TestLoading(t *testing.T) {
	l := NewLoading(&Config{})
	now := time.UnixMilli(5000)
	key := func(index int32) []byte { return offsetKey("g", topic.Partition{Topic: "t", Index: index}) }
	add := func(key, value []byte, batch, producer int64) {
		t.Helper()
		if err := l.Add(key, value, &Place{Batch: batch, ProducerID: producer, Transactional: producer >= 0}, now); err != nil {
			t.Fatal(err)
		}
	}
	value := func(offset int64) []byte { return offsetValue(&Offset{offset, -1, "", 1000, -1}) }
	add(key(0), value(1), 0, -1)
	add(key(0), value(2), 1, 7) // older than what follows
	add(key(1), value(3), 2, 7)
	add(key(0), value(4), 3, -1)
	l.EndTransaction(7, true)
	add(key(1), value(5), 5, 8)
	l.EndTransaction(8, false)
	add(key(2), value(6), 7, -1)
	add(key(2), nil, 8, -1)
	add(key(3), value(7), 9, 9) // not ended
	add(offsetKey("gone", topic.Partition{Topic: "t"}), value(1), 10, -1)
	add(offsetKey("gone", topic.Partition{Topic: "t"}), nil, 11, -1)
	add(metadataKey("g"), unhex(t, kafkaMetadata), 12, -1)
	add(metadataKey("dead"), unhex(t, kafkaMetadata), 13, -1)
	add(metadataKey("dead"), nil, 14, -1)
	if err := l.Add([]byte{0, 9}, nil, &Place{}, now); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("unknown key: %v", err)
	}
	groups := l.Groups(now)
	if len(groups) != 1 || groups["g"].State() != Stable {
		t.Fatalf("loaded %v", groups)
	}
	var got []string
	for _, o := range groups["g"].Fetch(nil, false) {
		got = append(got, o.Partition.String()+"="+string(rune('0'+o.Offset)))
	}
	if want := "t-0=4 t-1=3"; strings.Join(got, " ") != want {
		t.Errorf("loaded %v, want %s", got, want)
	}
	pending := []topic.Partition{{Topic: "t", Index: 3}}
	if o := groups["g"].Fetch(pending, true)[0]; o.Code != 88 {
		t.Errorf("offset in an open transaction: %+v, want error 88", o)
	}
}

// TestOffsetsAreParsedInPlace compares what is read where it lies with what kmsg decodes.
func TestOffsetsAreParsedInPlace(t *testing.T) {
	for version := int16(0); version <= offsetValueVersionMax; version++ {
		for _, metadata := range []string{"", "some metadata"} {
			v := kmsg.NewOffsetCommitValue()
			v.Version, v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp, v.ExpireTimestamp = version, 1<<40, 7, metadata, 1<<41, 1<<42
			want := Offset{Offset: 1 << 40, LeaderEpoch: -1, Metadata: metadata, CommitTimestamp: 1 << 41, ExpireTimestamp: -1}
			if version >= 3 {
				want.LeaderEpoch = 7
			}
			if version == 1 {
				want.ExpireTimestamp = 1 << 42
			}
			value := v.AppendTo(nil)
			if got, err := decodeOffset(value); err != nil || got != want {
				t.Errorf("version %d: %+v, %v, want %+v", version, got, err, want)
			}
			for end := range value {
				if got, err := decodeOffset(value[:end]); err == nil {
					t.Errorf("version %d: %+v of %d bytes of %d", version, got, end, len(value))
				}
			}
		}
	}
	for _, key := range [][]byte{offsetKey("group", topic.Partition{Topic: "topic", Index: 9}), metadataKey("group")} {
		if k, err := decodeKey(key); err != nil || k.group != "group" || k.offset && k.partition != (topic.Partition{Topic: "topic", Index: 9}) {
			t.Errorf("%x: %+v, %v", key, k, err)
		}
		for end := range key {
			if k, err := decodeKey(key[:end]); err == nil {
				t.Errorf("%+v of %d bytes of %x", k, end, key)
			}
		}
	}
}

// FuzzRecords decodes what may come from any broker: it may be refused, and nothing else may happen. What was
// understood is written again and understood again.
func FuzzRecords(f *testing.F) {
	for _, value := range []string{kafkaOffset, kafkaOffsetExpiring, kafkaMetadata, kafkaMetadata4} {
		f.Add(unhex(f, kafkaOffsetKey), unhex(f, value))
		f.Add(unhex(f, kafkaMetadataKey), unhex(f, value))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		config := &Config{MaxSize: 10}
		l := NewLoading(config)
		if err := l.Add(key, value, &Place{}, time.UnixMilli(1)); err != nil {
			return
		}
		for id, g := range l.Groups(time.UnixMilli(1)) {
			if len(g.members) == 0 {
				continue
			}
			again, err := decodeGroup(id, g.value(nil), config, time.UnixMilli(1))
			if err != nil || !bytes.Equal(again.value(nil), g.value(nil)) {
				t.Errorf("group %+v is not the same when it is read again: %v", g, err)
			}
		}
	})
}
