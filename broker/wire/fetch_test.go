package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// fetchOf is the FetchRequest that kmsg's request stands for.
func fetchOf(k *kmsg.FetchRequest) *FetchRequest {
	r := &FetchRequest{
		Version: k.Version, ReplicaID: k.ReplicaID, ReplicaEpoch: -1, MaxWait: k.MaxWaitMillis, MinBytes: k.MinBytes,
		MaxBytes: k.MaxBytes, Isolation: k.IsolationLevel, SessionID: k.SessionID, SessionEpoch: k.SessionEpoch,
		Rack: k.Rack, ClusterID: deref(k.ClusterID),
	}
	if k.Version >= 15 {
		r.ReplicaID, r.ReplicaEpoch = k.ReplicaState.ID, k.ReplicaState.Epoch
	}
	for _, kt := range k.Topics {
		t := FetchTopic{Name: kt.Topic, ID: kt.TopicID}
		for _, p := range kt.Partitions {
			t.Partitions = append(t.Partitions, FetchPartition{p.Partition, p.CurrentLeaderEpoch, p.FetchOffset,
				p.LastFetchedEpoch, p.LogStartOffset, p.PartitionMaxBytes})
		}
		r.Topics = append(r.Topics, t)
	}
	for _, f := range k.ForgottenTopics {
		r.Forgotten = append(r.Forgotten, ForgottenTopic{f.Topic, f.TopicID, f.Partitions})
	}
	return r
}

func TestFetchRequestAgreesWithKmsg(t *testing.T) {
	rng := seed.Rand(t)
	r := AcquireFetchRequest()
	defer r.Release()
	for version := int16(0); version <= 17; version++ {
		for range 100 {
			body := randomRequest(rng, KeyFetch, version).AppendTo(nil)
			k := kmsg.NewPtrFetchRequest()
			k.SetVersion(version)
			if err := k.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			if err := r.Parse(version, append(body, "trailing"...)); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			if diff := cmp.Diff(fetchOf(k), r, cmpopts.IgnoreUnexported(FetchRequest{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("v%d: -kmsg +wire\n%s", version, diff)
			}
			for end := range body {
				if err := r.Parse(version, body[:end]); !errors.Is(err, ErrTruncated) {
					t.Fatalf("v%d: %d of %d bytes: %v", version, end, len(body), err)
				}
			}
		}
	}
	if err := r.Parse(18, nil); !errors.Is(err, ErrUnsupportedVersion) {
		t.Errorf("v18: %v", err)
	}
}

// text is a Section held in memory.
type text struct {
	*bytes.Reader
	released int
}

func newText(s []byte) *text                   { return &text{Reader: bytes.NewReader(s)} }
func (s *text) Open() (*os.File, int64, error) { return nil, 0, nil }
func (s *text) Close()                         {}
func (s *text) Release()                       { s.released++ }
func (s *text) bytes() []byte                  { b := make([]byte, s.Size()); s.ReadAt(b, 0); return b }
func randomBytes(rng *rand.Rand, n int) (b []byte) {
	for range n {
		b = append(b, byte(rng.Uint32()))
	}
	return b
}

// splice puts the sections into what a Sectioned body appended.
func splice(body request.Sectioned, dst []byte) []byte {
	start := len(dst)
	flat := body.AppendTo(dst)
	out, from := append([]byte(nil), flat[:start]...), start
	for _, cut := range body.Cuts() {
		out = append(out, flat[from:start+cut.At]...)
		out = append(out, cut.Section.(*text).bytes()...)
		from = start + cut.At
	}
	return append(out, flat[from:]...)
}

// randomFetchResponse fills r and the kmsg response that is to have the same bytes.
func randomFetchResponse(rng *rand.Rand, r *FetchResponse, k *kmsg.FetchResponse) {
	r.Throttle, r.ErrorCode, r.SessionID = rng.Int32(), int16(rng.IntN(100)), rng.Int32()
	k.ThrottleMillis, k.ErrorCode, k.SessionID = r.Throttle, r.ErrorCode, r.SessionID
	for range rng.IntN(4) {
		kt := kmsg.NewFetchResponseTopic()
		kt.Topic, kt.TopicID = fmt.Sprintf("%0*d", 1+rng.IntN(200), 7), topic.NewID()
		r.Topic(kt.Topic, kt.TopicID)
		for range rng.IntN(4) {
			kt.Partitions = append(kt.Partitions, randomFetchedPartition(rng, r))
		}
		k.Topics = append(k.Topics, kt)
	}
	if k.Version < 16 {
		r.Endpoints = append(r.Endpoints, NodeEndpoint{ID: 1, Host: "not written"})
		return
	}
	for range rng.IntN(3) * 40 {
		e := NodeEndpoint{ID: rng.Int32(), Host: fmt.Sprintf("%0*d", rng.IntN(200), 7), Port: rng.Int32()}
		b := kmsg.FetchResponseBroker{NodeID: e.ID, Host: e.Host, Port: e.Port}
		if rng.IntN(2) == 0 {
			e.Rack = fmt.Sprintf("%0*d", 1+rng.IntN(200), 7)
			b.Rack = &e.Rack
		}
		r.Endpoints = append(r.Endpoints, e)
		k.Brokers = append(k.Brokers, b)
	}
}

func randomFetchedPartition(rng *rand.Rand, r *FetchResponse) kmsg.FetchResponseTopicPartition {
	kp := kmsg.NewFetchResponseTopicPartition()
	kp.Partition = rng.Int32()
	kp.RecordBatches = []byte{}
	p := r.Partition(kp.Partition)
	if rng.IntN(5) == 0 {
		kp.HighWatermark, kp.LastStableOffset = -1, -1 // Partition's defaults are kmsg's, but for this one
		return kp
	}
	p.ErrorCode, p.HighWatermark, p.LastStableOffset = int16(rng.IntN(100)), rng.Int64(), rng.Int64()
	p.LogStartOffset, p.PreferredReadReplica = rng.Int64(), rng.Int32()
	kp.ErrorCode, kp.HighWatermark, kp.LastStableOffset = p.ErrorCode, p.HighWatermark, p.LastStableOffset
	kp.LogStartOffset, kp.PreferredReadReplica = p.LogStartOffset, p.PreferredReadReplica
	if rng.IntN(2) == 0 {
		p.Aborted, kp.AbortedTransactions = []AbortedTransaction{}, []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		for range rng.IntN(3) {
			id, first := rng.Int64(), rng.Int64()
			p.Aborted = append(p.Aborted, AbortedTransaction{id, first})
			kp.AbortedTransactions = append(kp.AbortedTransactions,
				kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: id, FirstOffset: first})
		}
	}
	kp.RecordBatches = append(kp.RecordBatches, randomBytes(rng, rng.IntN(300))...)
	if rng.IntN(2) == 0 {
		p.Section = newText(kp.RecordBatches)
	} else {
		p.Records = kp.RecordBatches
	}
	if rng.IntN(2) == 0 {
		p.Diverging = EpochEnd{rng.Int32(), rng.Int64()}
		kp.DivergingEpoch.Epoch, kp.DivergingEpoch.EndOffset = p.Diverging.Epoch, p.Diverging.EndOffset
	}
	if rng.IntN(2) == 0 {
		p.Leader = LeaderEpoch{rng.Int32(), rng.Int32()}
		kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = p.Leader.ID, p.Leader.Epoch
	}
	return kp
}

func TestFetchResponseHasTheBytesOfKmsg(t *testing.T) {
	rng := seed.Rand(t)
	for version := int16(0); version <= 17; version++ {
		for range 200 {
			r, k := NewFetchResponse(version), kmsg.NewFetchResponse()
			k.Version = version
			randomFetchResponse(rng, r, &k)
			got, want := splice(r, []byte("head")), k.AppendTo([]byte("head"))
			if !bytes.Equal(got, want) {
				t.Fatalf("v%d:\n%x, want\n%x", version, got, want)
			}
			again := kmsg.NewFetchResponse()
			again.Version = version
			if err := again.ReadFrom(got[4:]); err != nil {
				t.Fatal(err)
			}
			r.Recycle()
		}
	}
}

// TestSizeOfAFetchResponse: the size of a part is that of a response with nothing else in it.
func TestSizeOfAFetchResponse(t *testing.T) {
	rng := seed.Rand(t)
	even := func(p topic.Partition) bool { return p.Index%2 == 0 }
	for version := int16(0); version <= 17; version++ {
		for range 50 {
			r, k := NewFetchResponse(version), kmsg.NewFetchResponse()
			k.Version = version
			randomFetchResponse(rng, r, &k)
			k.Brokers = nil
			for i := range k.Topics {
				k.Topics[i].Partitions = slices.DeleteFunc(k.Topics[i].Partitions, func(p kmsg.FetchResponseTopicPartition) bool { return p.Partition%2 != 0 })
			}
			k.Topics = slices.DeleteFunc(k.Topics, func(t kmsg.FetchResponseTopic) bool { return len(t.Partitions) == 0 })
			if got, want := r.SizeOf(even), 4+len(k.AppendTo(nil)); got != want {
				t.Fatalf("v%d: %d bytes, want %d", version, got, want)
			}
			r.Recycle()
		}
	}
}

func TestFetchResponseReleasesSectionsThatItKept(t *testing.T) {
	for _, handedOver := range []bool{false, true} {
		r, s := NewFetchResponse(12), newText([]byte("records"))
		r.Topic("t", topic.ID{})
		r.Partition(0).Section = s
		if r.RecordBytes() != 7 {
			t.Errorf("RecordBytes() = %d, want 7", r.RecordBytes())
		}
		if handedOver {
			r.AppendTo(nil)
			r.Cuts()
		}
		r.Discard()
		if want := map[bool]int{false: 1, true: 0}[handedOver]; s.released != want {
			t.Errorf("handed over %v: released %d times, want %d", handedOver, s.released, want)
		}
	}
}

func TestFetchAllocatesNothingPerPartition(t *testing.T) {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 17
	for range 3 {
		kt := kmsg.NewFetchRequestTopic()
		kt.TopicID = topic.NewID()
		kt.Partitions = make([]kmsg.FetchRequestTopicPartition, 100)
		req.Topics = append(req.Topics, kt)
	}
	body := req.AppendTo(nil)
	section := newText(make([]byte, 1000))
	buf := make([]byte, 0, 1<<20)
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	n := testing.AllocsPerRun(100, func() {
		r := AcquireFetchRequest()
		if err := r.Parse(17, body); err != nil {
			t.Fatal(err)
		}
		resp := NewFetchResponse(17)
		for _, ft := range r.Topics {
			resp.Topic(ft.Name, ft.ID)
			for _, p := range ft.Partitions {
				resp.Partition(p.Index).Section = section
			}
		}
		r.Release()
		buf = resp.AppendTo(buf[:0])
		resp.Cuts()
		resp.Recycle()
	})
	if n >= 1 {
		t.Errorf("%v allocations for a fetch of 300 partitions, want none", n)
	}
}

func FuzzFetchRequest(f *testing.F) {
	rng := seed.Rand(f)
	for v := int16(0); v <= 17; v++ {
		f.Add(v, randomRequest(rng, KeyFetch, v).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r FetchRequest // with no memory of others
		if r.Parse(version, body) == nil && cap(r.partitions) > 16+4*len(body)/fetchPartitionMin {
			t.Errorf("%d bytes took memory for %d partitions", len(body), cap(r.partitions))
		}
	})
}

func BenchmarkFetchResponse(b *testing.B) {
	section := newText(make([]byte, 1000))
	buf := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		resp := NewFetchResponse(17)
		resp.Topic("", topic.ID{1})
		for i := range int32(100) {
			resp.Partition(i).Section = section
		}
		buf = resp.AppendTo(buf[:0])
		resp.Cuts()
		resp.Recycle()
	}
}
