package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
)

func TestHeartbeatRequestAgreesWithKmsg(t *testing.T) {
	rng := seed.Rand(t)
	for version := int16(0); version <= 4; version++ {
		for range 100 {
			body := randomRequest(rng, int16(kmsg.Heartbeat), version).AppendTo(nil)
			k := kmsg.NewPtrHeartbeatRequest()
			k.SetVersion(version)
			if err := k.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			want := HeartbeatRequest{k.Group, k.Generation, k.MemberID, deref(k.InstanceID), k.InstanceID != nil}
			var r HeartbeatRequest
			if err := r.Parse(version, append(body, "trailing"...)); err != nil || r != want {
				t.Fatalf("v%d: got %+v, %v, want %+v", version, r, err, want)
			}
			for end := range body {
				if err := r.Parse(version, body[:end]); !errors.Is(err, ErrTruncated) {
					t.Fatalf("v%d: %d of %d bytes: %v", version, end, len(body), err)
				}
			}
		}
	}
	if err := new(HeartbeatRequest).Parse(5, nil); !errors.Is(err, ErrUnsupportedVersion) {
		t.Errorf("v5: %v", err)
	}
}

func TestHeartbeatResponseAgreesWithKmsg(t *testing.T) {
	for version := int16(0); version <= 4; version++ {
		k := kmsg.HeartbeatResponse{Version: version, ThrottleMillis: 7, ErrorCode: 27}
		r := NewHeartbeatResponse(version)
		r.Throttle, r.ErrorCode = 7, 27
		if got, want := r.AppendTo(nil), k.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("v%d: %x, kmsg has %x", version, got, want)
		}
		r.Recycle()
	}
}

func TestOffsetCommitRequestAgreesWithKmsg(t *testing.T) {
	rng := seed.Rand(t)
	r := AcquireOffsetCommitRequest()
	defer r.Release()
	for version := int16(0); version <= 9; version++ {
		for range 100 {
			body := randomRequest(rng, int16(kmsg.OffsetCommit), version).AppendTo(nil)
			k := kmsg.NewPtrOffsetCommitRequest()
			k.SetVersion(version)
			if err := k.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			want := decodedCommit(k)
			if err := r.Parse(version, append(body, "trailing"...)); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			if diff := cmp.Diff(want, r, cmpopts.IgnoreUnexported(OffsetCommitRequest{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("v%d: -kmsg +wire\n%s", version, diff)
			}
			for end := range body {
				if err := r.Parse(version, body[:end]); !errors.Is(err, ErrTruncated) {
					t.Fatalf("v%d: %d of %d bytes: %v", version, end, len(body), err)
				}
			}
		}
	}
	if err := r.Parse(10, nil); !errors.Is(err, ErrUnsupportedVersion) {
		t.Errorf("v10: %v", err)
	}
}

func decodedCommit(k *kmsg.OffsetCommitRequest) *OffsetCommitRequest {
	r := &OffsetCommitRequest{Version: k.Version, Group: k.Group, Generation: -1, Retention: -1}
	if k.Version >= 1 {
		r.Generation, r.MemberID = k.Generation, k.MemberID
	}
	r.InstanceID, r.Static = deref(k.InstanceID), k.InstanceID != nil
	if k.Version >= 2 && k.Version <= 4 {
		r.Retention = k.RetentionTimeMillis
	}
	for _, kt := range k.Topics {
		topic := OffsetCommitTopic{Name: kt.Topic}
		for _, kp := range kt.Partitions {
			p := OffsetCommitPartition{Index: kp.Partition, Offset: kp.Offset, Timestamp: -1, LeaderEpoch: -1, Metadata: deref(kp.Metadata)}
			if k.Version == 1 {
				p.Timestamp = kp.Timestamp
			}
			if k.Version >= 6 {
				p.LeaderEpoch = kp.LeaderEpoch
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func TestOffsetCommitResponseAgreesWithKmsg(t *testing.T) {
	for version := int16(0); version <= 9; version++ {
		for topics := range 4 {
			k := kmsg.OffsetCommitResponse{Version: version, ThrottleMillis: 9}
			r := NewOffsetCommitResponse(version)
			r.Throttle = 9
			for i := range topics {
				name := fmt.Sprintf("topic-%d", i)
				kt := kmsg.OffsetCommitResponseTopic{Topic: name}
				r.Topic(name)
				for j := range int32(i) {
					kt.Partitions = append(kt.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: j, ErrorCode: int16(j)})
					r.Partition(j, int16(j))
				}
				k.Topics = append(k.Topics, kt)
			}
			body := r.Body()
			if got, want := body.AppendTo(nil), k.AppendTo(nil); !bytes.Equal(got, want) {
				t.Errorf("v%d: %x, kmsg has %x", version, got, want)
			}
			body.(request.Recycler).Recycle()
		}
	}
}

// A connection must not gather large answers for a client that reads none (network.isHeavy).
func TestLargeCommitResponseIsNotPooled(t *testing.T) {
	r := NewOffsetCommitResponse(9)
	r.Topic("topic")
	for i := range int32(pooledPartitions + 1) {
		r.Partition(i, 0)
	}
	if _, pooled := r.Body().(request.Recycler); pooled {
		t.Error("it is")
	}
}

func FuzzOffsetCommitRequest(f *testing.F) {
	rng := seed.Rand(f)
	for version := int16(0); version <= 9; version++ {
		f.Add(version, randomRequest(rng, int16(kmsg.OffsetCommit), version).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		r := AcquireOffsetCommitRequest()
		defer r.Release()
		if err := r.Parse(version, body); err != nil {
			return
		}
		n := 0
		for i := range r.Topics {
			n += len(r.Topics[i].Partitions)
		}
		if n != r.NumPartitions() || n > len(body)/13 {
			t.Errorf("%d partitions, %d in topics, of %d bytes", r.NumPartitions(), n, len(body))
		}
	})
}

// A topic without partitions takes three bytes of a request and many more of memory.
func TestRequestsAreBoundedInMemory(t *testing.T) {
	const topics = 15_000_000
	listed := bytes.Repeat([]byte{1, 1, 0}, topics)
	for _, tt := range []struct {
		name  string
		head  []byte // what precedes the topics
		parse func(body []byte) error
	}{
		{"OffsetCommit", []byte{1, 0, 0, 0, 0, 1, 0}, func(body []byte) error { return new(OffsetCommitRequest).Parse(9, body) }},
		{"Produce", make([]byte, 7), func(body []byte) error { return new(ProduceRequest).Parse(11, body) }},
		{"Fetch", make([]byte, 25), func(body []byte) error { return new(FetchRequest).Parse(12, body) }},
	} {
		body := slices.Concat(binary.AppendUvarint(tt.head, topics+1), listed, []byte{0})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := tt.parse(body)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errTooLarge) || n > 1<<20 {
			t.Errorf("%s took %d bytes, error %v", tt.name, n, err)
		}
	}
}

// Kafka closes the connection of a client that sends null in place of an array that has to be there.
func TestRequestsRefuseNullArrays(t *testing.T) {
	commit := func(body []byte) error { return new(OffsetCommitRequest).Parse(0, body) }
	produce := func(body []byte) error { return new(ProduceRequest).Parse(0, body) }
	fetch := func(body []byte) error { return new(FetchRequest).Parse(0, body) }
	for _, tt := range []struct {
		name  string
		head  string // what precedes the topics
		size  int    // of what follows a partition's index
		parse func(body []byte) error
	}{
		{"OffsetCommit", "\x00\x01g", 8 + 2, commit},
		{"Produce", "\x00\x01\x00\x00\x00\x00", 4, produce},
		{"Fetch", "\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", 8 + 4, fetch},
	} {
		topic := "\x00\x00\x00\x01\x00\x01t"
		for body, want := range map[string]error{
			"\x00\x00\x00\x00":         nil,
			"\xff\xff\xff\xff":         ErrTruncated,
			"\xff\xff\xff\xfb":         ErrTruncated,
			topic + "\xff\xff\xff\xff": ErrTruncated,
			topic + "\x00\x00\x00\x01\x00\x00\x00\x00" + strings.Repeat("\x00", tt.size): nil,
		} {
			if err := tt.parse([]byte(tt.head + body)); !errors.Is(err, want) {
				t.Errorf("%s, topics %x: %v, want %v", tt.name, body, err, want)
			}
		}
	}
}
