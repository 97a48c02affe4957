package fetch

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func handler(t testing.TB, b *fixture.Broker) *Handler {
	h := New(Options{Replicas: b.Replicas, Metadata: b.Metadata, MaxBytes: 55 << 20, SessionSlots: 1000, Logger: b.Logger, Now: time.Now})
	t.Cleanup(h.Close)
	return h
}

// write appends batches of n records each to partition index of name and returns them as stored.
func write(t testing.TB, b *fixture.Broker, name string, index int32, batches, n int) []byte {
	t.Helper()
	p, err := b.Replicas.Partition(topic.Partition{Topic: name, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for range batches {
		batch := fixture.Batch(t, n, 100, record.BuilderOptions{})
		if _, err := p.Append(batch, record.Client, false, time.Now().UnixMilli()); err != nil {
			t.Fatal(err)
		}
		all = append(all, batch...)
	}
	b.Replicas.Appended(p.Partition)
	return all
}

// fetchRequest asks for partitions of one topic from offset on, without waiting.
func fetchRequest(version int16, name string, id topic.ID, offset int64, indexes ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, -1, 1, 50<<20, finalEpoch
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = name, id
	for _, i := range indexes {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = i, offset, 1<<20
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func fetch(t testing.TB, h *Handler, req *kmsg.FetchRequest) *kmsg.FetchResponse {
	t.Helper()
	resp := kmsg.NewPtrFetchResponse()
	fixture.Do(t, h, req, resp)
	return resp
}

func TestBytesAsStored(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	stored := write(t, b, "orders", 0, 3, 10)
	h := handler(t, b)
	for version := int16(4); version <= 17; version++ {
		got := fetch(t, h, fetchRequest(version, "orders", id, 0, 0)).Topics[0].Partitions[0]
		if got.ErrorCode != 0 || got.HighWatermark != 30 || !bytes.Equal(got.RecordBatches, stored) {
			t.Errorf("v%d: error %d, high watermark %d, %d bytes; want the %d bytes stored", version, got.ErrorCode, got.HighWatermark, len(got.RecordBatches), len(stored))
		}
	}
}

func TestOldClientsGetOldFormats(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	write(t, b, "orders", 0, 2, 3)
	h := handler(t, b)
	for version, magic := range map[int16]int8{0: 0, 1: 0, 2: 1, 3: 1} {
		n := int64(0)
		for round := 0; n < 6 && round < 6; round++ { // converted they are larger: the last ones may be cut off
			records := fetch(t, h, fetchRequest(version, "orders", topic.ID{}, n, 0)).Topics[0].Partitions[0].RecordBatches
			if err := record.Each(records, func(b record.Batch) error {
				if b.Magic() != magic || b.BaseOffset() != n {
					t.Errorf("v%d: message format %d at offset %d, want %d at %d", version, b.Magic(), b.BaseOffset(), magic, n)
				}
				n++
				return b.Check()
			}); err != nil {
				t.Errorf("v%d: %v", version, err)
			}
		}
		if n != 6 {
			t.Errorf("v%d: %d messages, want 6", version, n)
		}
	}
}

// TestRefusals compares with what Kafka 3.9.2 answered.
func TestRefusals(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	b.Topic(t, "elsewhere", 1, []int32{2, 3}, nil)
	write(t, b, "orders", 0, 1, 17)
	h := handler(t, b)
	with := func(req *kmsg.FetchRequest, change func(*kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
		change(&req.Topics[0].Partitions[0])
		return req
	}
	tests := []struct {
		name string
		req  *kmsg.FetchRequest
		want int16
	}{
		{"offset above the end", fetchRequest(12, "orders", id, 18, 0), 1},
		{"offset at the end", fetchRequest(12, "orders", id, 17, 0), 0},
		{"negative offset", fetchRequest(12, "orders", id, -1, 0), 1},
		{"unknown topic", fetchRequest(12, "nope", id, 0, 0), 3},
		{"unknown partition", fetchRequest(12, "orders", id, 0, 5), 3},
		{"unknown id", fetchRequest(13, "", topic.NewID(), 0, 0), 100},
		{"no replica here", fetchRequest(12, "elsewhere", id, 0, 0), 6},
		{"older leader epoch", with(fetchRequest(12, "orders", id, 0, 0), func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 9 }), 75},
		{"diverging epoch unknown", with(fetchRequest(12, "orders", id, 0, 0), func(p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 7 }), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fetch(t, h, tt.req).Topics[0].Partitions[0]; got.ErrorCode != tt.want {
				t.Errorf("error code %d, want %d", got.ErrorCode, tt.want)
			} else if tt.want != 0 && got.HighWatermark != -1 {
				t.Errorf("high watermark %d beside an error, want -1", got.HighWatermark)
			}
		})
	}
	isolation := fetchRequest(12, "orders", id, 0, 0)
	isolation.IsolationLevel = 3
	if got := fetch(t, h, isolation); got.ErrorCode != -1 || got.Topics[0].Partitions[0].ErrorCode != -1 {
		t.Errorf("isolation level 3: %d, want UNKNOWN_SERVER_ERROR", got.ErrorCode)
	}
	isolation.Topics[0].Topic = "nope" // nothing is read, so that nobody looks at the level
	if got := fetch(t, h, isolation); got.ErrorCode != 0 || got.Topics[0].Partitions[0].ErrorCode != 3 {
		t.Errorf("isolation level 3, unknown topic: %d, want the partition's error alone", got.ErrorCode)
	}
	isolation.SessionID, isolation.SessionEpoch = 5, 1
	if got := fetch(t, h, isolation); got.ErrorCode != 70 {
		t.Errorf("isolation level 3, unknown session: %d, want FETCH_SESSION_ID_NOT_FOUND", got.ErrorCode)
	}
}

// TestListedTwice: a partition is answered once, from the offset that was mentioned last.
func TestListedTwice(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 2, []int32{1}, nil)
	write(t, b, "orders", 0, 1, 3)
	h := handler(t, b)
	for _, version := range []int16{4, 12, 13} {
		req := fetchRequest(version, "orders", id, 99, 0)
		more := fetchRequest(version, "orders", id, 0, 1).Topics[0]
		again := fetchRequest(version, "orders", id, 3, 0).Topics[0]
		again.Partitions = append(again.Partitions, again.Partitions[0])
		req.Topics = append(req.Topics, more, again)
		var got []int32
		for _, r := range fetch(t, h, req).Topics {
			for _, p := range r.Partitions {
				if got = append(got, p.Partition); p.ErrorCode != 0 {
					t.Errorf("version %d: partition %d has error %d", version, p.Partition, p.ErrorCode)
				}
			}
		}
		if want := []int32{0, 1}; !slices.Equal(got, want) {
			t.Errorf("version %d: answers for partitions %v, want %v", version, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 3, []int32{1}, nil)
	var size int
	for i := range int32(3) {
		size = len(write(t, b, "orders", i, 4, 10)) / 4
	}
	h := handler(t, b)
	sizes := func(req *kmsg.FetchRequest) (n []int) {
		for _, p := range fetch(t, h, req).Topics[0].Partitions {
			n = append(n, len(p.RecordBatches))
		}
		return n
	}
	req := fetchRequest(12, "orders", id, 0, 0, 1, 2)
	req.MaxBytes = int32(4*size + size/2)
	if got, want := sizes(req), []int{4 * size, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("max bytes for one partition and a half batch: %v, want %v", got, want)
	}
	req.MaxBytes = 0
	if got, want := sizes(req), []int{size, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("max bytes 0: %v, want the first batch all the same: %v", got, want)
	}
	req.MaxBytes = 50 << 20
	for i := range req.Topics[0].Partitions {
		req.Topics[0].Partitions[i].PartitionMaxBytes = int32(size + 10)
	}
	if got, want := sizes(req), []int{size, size, size}; !slices.Equal(got, want) {
		t.Errorf("a batch and 10 bytes a partition: %v, want %v", got, want)
	}
}

func TestWaitsForRecords(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 2, []int32{1}, nil)
	h := handler(t, b)
	req := fetchRequest(12, "orders", id, 0, 0, 1)
	req.MaxWaitMillis = 60_000
	waiting := fixture.Send(h, req, "c")
	if !waiting.Pending() {
		t.Fatal("answered without records")
	}
	stored := write(t, b, "orders", 1, 1, 5)
	resp := kmsg.NewPtrFetchResponse()
	waiting.Wait(t, 12, resp)
	if got := resp.Topics[0].Partitions[1]; !bytes.Equal(got.RecordBatches, stored) || got.HighWatermark != 5 {
		t.Errorf("woken with %d bytes at high watermark %d, want %d at 5", len(got.RecordBatches), got.HighWatermark, len(stored))
	}
	req.MaxWaitMillis = 10
	req.Topics[0].Partitions[1].FetchOffset = 5
	if got := fetch(t, h, req); len(got.Topics[0].Partitions[1].RecordBatches) != 0 || got.Topics[0].Partitions[1].ErrorCode != 0 {
		t.Error("a fetch whose time is over answers without records and without error")
	}
}

func TestMinBytes(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	one := len(write(t, b, "orders", 0, 1, 10))
	h := handler(t, b)
	req := fetchRequest(12, "orders", id, 0, 0)
	req.MaxWaitMillis, req.MinBytes = 60_000, int32(2*one)
	waiting := fixture.Send(h, req, "c")
	if !waiting.Pending() {
		t.Fatal("answered with half of min bytes")
	}
	write(t, b, "orders", 0, 1, 10)
	resp := kmsg.NewPtrFetchResponse()
	waiting.Wait(t, 12, resp)
	if got := len(resp.Topics[0].Partitions[0].RecordBatches); got != 2*one {
		t.Errorf("%d bytes, want %d", got, 2*one)
	}
}

// What a limit cuts off counts towards min bytes: there is enough, and it cannot become more.
func TestMinBytesCountWhatALimitCuts(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	one := len(write(t, b, "orders", 0, 3, 10)) / 3
	h := handler(t, b)
	req := fetchRequest(12, "orders", id, 0, 0)
	req.MaxWaitMillis, req.MinBytes = 60_000, int32(one+10)
	req.Topics[0].Partitions[0].PartitionMaxBytes = int32(one + 10)
	sent := fixture.Send(h, req, "c")
	if sent.Pending() {
		t.Error("waits, although all that its limit allows is there")
	}
	resp := kmsg.NewPtrFetchResponse()
	sent.Wait(t, 12, resp)
	if got := len(resp.Topics[0].Partitions[0].RecordBatches); got != one {
		t.Errorf("%d bytes, want a batch of %d", got, one)
	}
}

func TestSession(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 3, []int32{1}, nil)
	for i := range int32(3) {
		write(t, b, "orders", i, 1, 5)
	}
	h := handler(t, b)
	full := fetchRequest(12, "orders", id, 5, 0, 1, 2)
	full.SessionEpoch = initialEpoch
	first := fetch(t, h, full)
	if first.SessionID == 0 || len(first.Topics[0].Partitions) != 3 {
		t.Fatalf("full fetch: session %d with %d partitions, want a session with 3", first.SessionID, len(first.Topics[0].Partitions))
	}
	empty := fetchRequest(12, "orders", id, 0)
	empty.Topics, empty.SessionEpoch = nil, initialEpoch
	if got := fetch(t, h, empty); got.SessionID == 0 { // partitions may come later
		t.Error("a full fetch of nothing got no session")
	}
	next := func(epoch int32) *kmsg.FetchRequest {
		req := fetchRequest(12, "orders", id, 0)
		req.Topics, req.SessionID, req.SessionEpoch = nil, first.SessionID, epoch
		return req
	}
	if got := fetch(t, h, next(1)); got.ErrorCode != 0 || len(got.Topics) != 0 {
		t.Errorf("nothing changed: error %d, %d topics mentioned", got.ErrorCode, len(got.Topics))
	}
	stored := write(t, b, "orders", 1, 1, 5)
	got := fetch(t, h, next(2))
	if len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 || got.Topics[0].Partitions[0].Partition != 1 ||
		!bytes.Equal(got.Topics[0].Partitions[0].RecordBatches, stored) {
		t.Errorf("only partition 1 has news, the answer is %+v", got.Topics)
	}
	if got := fetch(t, h, next(2)); got.ErrorCode != 71 || got.SessionID != 0 {
		t.Errorf("an epoch used twice: error %d, want INVALID_FETCH_SESSION_EPOCH", got.ErrorCode)
	}
	forget := next(3)
	forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "orders", Partitions: []int32{1}}}
	if got := fetch(t, h, forget); got.ErrorCode != 0 || len(got.Topics) != 0 {
		t.Errorf("after partition 1 was forgotten: %+v", got.Topics)
	}
	mixed := next(4)
	mixed.Version = 13
	if got := fetch(t, h, mixed); got.ErrorCode != 106 {
		t.Errorf("ids in a session made with names: error %d, want FETCH_SESSION_TOPIC_ID_ERROR", got.ErrorCode)
	}
	closing := fetchRequest(12, "orders", id, 5, 0)
	closing.SessionID = first.SessionID
	if got := fetch(t, h, closing); got.SessionID != 0 {
		t.Errorf("the final fetch is answered with session %d, want none", got.SessionID)
	}
	if got := fetch(t, h, next(4)); got.ErrorCode != 70 {
		t.Errorf("after its end: error %d, want FETCH_SESSION_ID_NOT_FOUND", got.ErrorCode)
	}
}

func TestFullPartitionsDoNotStarveOthers(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 2, []int32{1}, nil)
	for i := range int32(2) {
		write(t, b, "orders", i, 5, 10)
	}
	h := handler(t, b)
	full := fetchRequest(13, "", id, 0, 0, 1)
	full.SessionEpoch, full.MaxBytes = initialEpoch, 1
	first := fetch(t, h, full)
	req := fetchRequest(13, "", id, 0)
	req.Topics, req.SessionID, req.MaxBytes = nil, first.SessionID, 1
	var served []int32
	for epoch := int32(1); epoch <= 4; epoch++ {
		req.SessionEpoch = epoch
		for _, p := range fetch(t, h, req).Topics[0].Partitions {
			if len(p.RecordBatches) > 0 {
				served = append(served, p.Partition)
			}
		}
	}
	slices.Sort(served)
	if want := []int32{0, 0, 1, 1}; !slices.Equal(served, want) {
		t.Errorf("four answers with room for one batch served partitions %v, want %v", served, want)
	}
}

func TestDeletedTopicAnswersWaitingFetch(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(t, b)
	req := fetchRequest(12, "orders", id, 0, 0)
	req.MaxWaitMillis = 60_000
	waiting := fixture.Send(h, req, "c")
	stop := replica.Stop{Partition: topic.Partition{Topic: "orders"}, LeaderEpoch: -2, Delete: true}
	if _, err := b.Replicas.StopReplicas(replica.Command{ControllerEpoch: 1, BrokerEpoch: -1}, []replica.Stop{stop}); err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrFetchResponse()
	waiting.Wait(t, 12, resp)
	if got := resp.Topics[0].Partitions[0].ErrorCode; got != 6 {
		t.Errorf("error %d, want NOT_LEADER_OR_FOLLOWER", got)
	}
}

func TestDownConversionDisabled(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, func(c *storage.LogConfig) { c.DownConversion = false })
	write(t, b, "orders", 0, 1, 1)
	if got := fetch(t, handler(t, b), fetchRequest(3, "orders", topic.ID{}, 0, 0)).Topics[0].Partitions[0].ErrorCode; got != 35 {
		t.Errorf("error %d, want UNSUPPORTED_VERSION", got)
	}
}

// sink takes answers without reading sections.
type sink struct{ buf []byte }

func (s *sink) Reply(_ *request.Request, body request.Body) {
	s.buf = body.AppendTo(s.buf[:0])
	for _, c := range body.(request.Sectioned).Cuts() {
		c.Section.Release()
	}
	body.(request.Recycler).Recycle()
}

func (*sink) Drop(_ *request.Request, reason error) { panic(reason) }

func (*sink) Abandon(*request.Request) { panic("abandoned") }

// TestAllocations holds the bound on garbage per fetch, whatever the number of records.
func TestAllocations(t *testing.T) {
	for _, n := range []int{1, 100, 5000} {
		b := fixture.New(t)
		id := b.Topic(t, "orders", 1, []int32{1}, nil)
		write(t, b, "orders", 0, 1, n)
		h := handler(t, b)
		r := &request.Request{Version: 13, Body: fetchRequest(13, "", id, 0, 0).AppendTo(nil), To: &sink{}, Conn: &request.Conn{}}
		allocs := testing.AllocsPerRun(200, func() { h.Handle(r) })
		if allocs > 10 {
			t.Errorf("%d records: %.1f allocations per request, want 10 at most", n, allocs)
		}
		t.Logf("%d records: %.1f allocations", n, allocs)
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, partitions := range []int{1, 100} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			f := fixture.New(b)
			id := f.Topic(b, "orders", partitions, []int32{1}, nil)
			var indexes []int32
			for i := range int32(partitions) {
				write(b, f, "orders", i, 1, 100)
				indexes = append(indexes, i)
			}
			h := handler(b, f)
			r := &request.Request{Version: 13, Body: fetchRequest(13, "", id, 0, indexes...).AppendTo(nil), To: &sink{}, Conn: &request.Conn{}}
			b.ReportAllocs()
			for b.Loop() {
				h.Handle(r)
			}
		})
	}
}
