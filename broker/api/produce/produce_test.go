package produce

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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

func handler(b *fixture.Broker) *Handler {
	return &Handler{Replicas: b.Replicas, Metadata: b.Metadata, Logger: b.Logger, Now: time.Now}
}

func produceRequest(version, acks int16, name string, index int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, 30_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = index, records
	req.Topics = append(req.Topics, kmsg.ProduceRequestTopic{Topic: name, Partitions: []kmsg.ProduceRequestTopicPartition{p}})
	return req
}

func produce(t testing.TB, h *Handler, req *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	resp := kmsg.NewPtrProduceResponse()
	fixture.Do(t, h, req, resp)
	return resp.Topics[0].Partitions[0]
}

func TestOffsetsFollowOneAnother(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(b)
	for version := int16(3); version <= 11; version++ {
		for _, acks := range []int16{1, -1} {
			want := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset()
			got := produce(t, h, produceRequest(version, acks, "orders", 0, fixture.Batch(t, 3, 10, record.BuilderOptions{})))
			if got.ErrorCode != 0 || got.BaseOffset != want || got.LogAppendTime != -1 {
				t.Errorf("v%d acks=%d: %+v, want base offset %d", version, acks, got, want)
			}
		}
	}
}

// TestRefusals compares with what Kafka 3.9.2 answered.
func TestRefusals(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	b.Topic(t, "elsewhere", 1, []int32{2, 3}, nil)
	b.Topic(t, "keyed", 1, []int32{1}, func(c *storage.LogConfig) { c.Compact, c.Delete, c.Policy.Compacted = true, false, true })
	b.Topic(t, topic.ConsumerOffsets, 1, []int32{1}, nil)
	good := func() []byte { return fixture.Batch(t, 1, 10, record.BuilderOptions{}) }
	edit := func(change func(b []byte)) []byte {
		batch := good()
		change(batch)
		record.Batch(batch).SetLeaderEpoch(-1)
		return batch
	}
	noKey := record.NewBuilder(record.MagicV2, record.BuilderOptions{})
	noKey.Append(record.Record{Timestamp: 1, Value: []byte("v")})
	keyless, _ := noKey.Build(nil)
	producer := &record.ProducerInfo{ID: 7}
	tests := []struct {
		name    string
		version int16
		acks    int16
		topic   string
		index   int32
		records []byte
		want    int16
	}{
		{"valid", 9, 1, "orders", 0, good(), 0},
		{"bad CRC", 9, 1, "orders", 0, edit(func(b []byte) { b[17]++ }), 2},
		{"unknown topic", 9, 1, "nope", 0, good(), 3},
		{"unknown partition", 9, 1, "orders", 9, good(), 3},
		{"magic 5", 9, 1, "orders", 0, edit(func(b []byte) { b[16] = 5 }), 2},
		{"acks=2", 9, 2, "orders", 0, good(), 21},
		{"acks=-2", 9, -2, "orders", 0, good(), 21},
		{"no replica here", 9, 1, "elsewhere", 0, good(), 6},
		{"record set empty", 9, 1, "orders", 0, []byte{}, 87},
		{"two batches", 9, 1, "orders", 0, append(good(), good()...), 87},
		{"batch length too long", 9, 1, "orders", 0, edit(func(b []byte) { binary.BigEndian.PutUint32(b[8:], uint32(len(b))) }), 87},
		{"garbage", 9, 1, "orders", 0, []byte("0123456789"), 87},
		{"zstd in v6", 6, 1, "orders", 0, fixture.Batch(t, 1, 10, record.BuilderOptions{Codec: record.Zstd}), 76},
		{"no key on a compacted topic", 9, 1, "keyed", 0, keyless, 87},
		{"internal topic", 9, 1, topic.ConsumerOffsets, 0, good(), 17},
		{"transactional batch without a transactional id", 9, 1, "orders", 0,
			fixture.Batch(t, 1, 10, record.BuilderOptions{Producer: producer, Transactional: true}), 53},
	}
	h := handler(b)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			end := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset()
			got := produce(t, h, produceRequest(tt.version, tt.acks, tt.topic, tt.index, tt.records))
			if got.ErrorCode != tt.want {
				t.Errorf("error code %d, want %d", got.ErrorCode, tt.want)
			}
			if tt.want != 0 && b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset() != end {
				t.Error("refused, and written all the same")
			}
		})
	}
}

func TestLeaderIsNamed(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "elsewhere", 1, []int32{2, 3}, nil)
	resp := kmsg.NewPtrProduceResponse()
	fixture.Do(t, handler(b), produceRequest(10, 1, "elsewhere", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{})), resp)
	got := resp.Topics[0].Partitions[0].CurrentLeader
	if got.LeaderID != 2 || len(resp.Brokers) != 1 || resp.Brokers[0].Port != 9092 {
		t.Errorf("leader %+v at %+v, want broker 2 at port 9092", got, resp.Brokers)
	}
}

func TestNoAnswerWithoutAcks(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(b)
	ok := fixture.Send(h, produceRequest(9, 0, "orders", 0, fixture.Batch(t, 2, 1, record.BuilderOptions{})), "c")
	if err := ok.Dropped(); err != nil {
		t.Errorf("a good produce closed the connection: %v", err)
	}
	if end := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(); end != 2 {
		t.Errorf("log ends at %d, want 2", end)
	}
	if fixture.Send(h, produceRequest(9, 0, "nope", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{})), "c").Dropped() == nil {
		t.Error("an error with acks=0 must close the connection")
	}
}

// TestAcksAllWaitsForFollowers has a follower in the ISR that has not fetched.
func TestAcksAllWaitsForFollowers(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	h := handler(b)
	waiting := fixture.Send(h, produceRequest(9, -1, "orders", 0, fixture.Batch(t, 5, 1, record.BuilderOptions{})), "c")
	if !waiting.Pending() {
		t.Fatal("answered before the follower has the records")
	}
	for _, offset := range []int64{0, 5} { // the second fetch says that it holds everything below 5
		b.Follow(t, topic.Partition{Topic: "orders"}, offset, 0)
	}
	resp := kmsg.NewPtrProduceResponse()
	waiting.Wait(t, 9, resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.BaseOffset != 0 {
		t.Errorf("answer %+v, want offset 0 without error", got)
	}
}

func TestAcksAllTimesOut(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	req := produceRequest(9, -1, "orders", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{}))
	req.TimeoutMillis = 10
	if got := produce(t, handler(b), req); got.ErrorCode != 7 || got.BaseOffset != 0 {
		t.Errorf("answer %+v, want REQUEST_TIMED_OUT with the offset at which the records are", got)
	}
}

func TestAcksAllNeedsMinISR(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, func(c *storage.LogConfig) { c.MinInSyncReplicas = 2 })
	b.Lead(t, id, replica.PartitionState{
		Partition: topic.Partition{Topic: "orders"}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1}, Replicas: []int32{1, 2},
	})
	batch := fixture.Batch(t, 1, 1, record.BuilderOptions{})
	if got := produce(t, handler(b), produceRequest(9, -1, "orders", 0, batch)); got.ErrorCode != 19 {
		t.Errorf("acks=all: error %d, want NOT_ENOUGH_REPLICAS", got.ErrorCode)
	}
	if got := produce(t, handler(b), produceRequest(9, 1, "orders", 0, batch)); got.ErrorCode != 0 {
		t.Errorf("acks=1: error %d, want none", got.ErrorCode)
	}
	if hw := b.Storage.Log(topic.Partition{Topic: "orders"}).HighWatermark(); hw != 0 {
		t.Errorf("high watermark %d rose with an ISR below min.insync.replicas", hw)
	}
}

func TestLeadershipLostWhileWaiting(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	waiting := fixture.Send(handler(b), produceRequest(10, -1, "orders", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{})), "c")
	b.Lead(t, id, replica.PartitionState{
		Partition: topic.Partition{Topic: "orders"}, Leader: 2, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1, 2}, Replicas: []int32{1, 2},
	})
	resp := kmsg.NewPtrProduceResponse()
	waiting.Wait(t, 10, resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 6 {
		t.Errorf("error %d, want NOT_LEADER_OR_FOLLOWER", got.ErrorCode)
	}
}

func TestTopicDeletedWhileWaiting(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	waiting := fixture.Send(handler(b), produceRequest(10, -1, "orders", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{})), "c")
	b.Delete(t, "orders", 1)
	resp := kmsg.NewPtrProduceResponse()
	waiting.Wait(t, 10, resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 3 {
		t.Errorf("error %d, want UNKNOWN_TOPIC_OR_PARTITION", got.ErrorCode)
	}
}

func TestFailedLogDirectory(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	h := handler(b)
	batch := fixture.Batch(t, 1, 1, record.BuilderOptions{})
	waiting := fixture.Send(h, produceRequest(10, -1, "orders", 0, batch), "c")
	b.FailDir()
	if got := produce(t, h, produceRequest(10, 1, "orders", 0, batch)); got.ErrorCode != 56 {
		t.Errorf("error %d, want KAFKA_STORAGE_ERROR", got.ErrorCode)
	}
	b.Replicas.Appended(topic.Partition{Topic: "orders"}) // as the controller's next order does
	resp := kmsg.NewPtrProduceResponse()
	waiting.Wait(t, 10, resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 56 {
		t.Errorf("waiting: error %d, want KAFKA_STORAGE_ERROR", got.ErrorCode)
	}
}

func TestImpossibleAcks(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(b)
	batch := fixture.Batch(t, 1, 1, record.BuilderOptions{})
	for name, want := range map[string]int16{"orders": 21, "nowhere": 3} {
		if got := produce(t, h, produceRequest(9, 2, name, 0, batch)); got.ErrorCode != want {
			t.Errorf("acks=2 to %s: error %d, want %d", name, got.ErrorCode, want)
		}
	}
	if got := produce(t, h, produceRequest(9, 2, "orders", 0, nil)); got.ErrorCode != 87 {
		t.Errorf("acks=2 without records: error %d, want INVALID_RECORD", got.ErrorCode)
	}
}

// A new leader is named as soon as LeaderAndIsr has told of it, before UpdateMetadata comes.
func TestNewLeaderIsNamedAtOnce(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	_, err := b.Replicas.Apply(replica.Command{ControllerEpoch: 1, BrokerEpoch: -1}, []replica.PartitionState{{
		Partition: topic.Partition{Topic: "orders"}, TopicID: id, ControllerEpoch: 1,
		Leader: 2, LeaderEpoch: 4, PartitionEpoch: 1, ISR: []int32{1, 2}, Replicas: []int32{1, 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := produce(t, handler(b), produceRequest(10, 1, "orders", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{})))
	if got.ErrorCode != 6 || got.CurrentLeader.LeaderID != 2 || got.CurrentLeader.LeaderEpoch != 4 {
		t.Errorf("answer %+v, want broker 2 in epoch 4 as the leader", got)
	}
}

func TestDuplicatesKeepTheirOffset(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(b)
	send := func(sequence int32) kmsg.ProduceResponseTopicPartition {
		return produce(t, h, produceRequest(9, -1, "orders", 0,
			fixture.Batch(t, 2, 1, record.BuilderOptions{Producer: &record.ProducerInfo{ID: 7, Sequence: sequence}})))
	}
	for i := range int32(6) {
		if got := send(2 * i); got.ErrorCode != 0 || got.BaseOffset != int64(2*i) {
			t.Fatalf("batch %d: %+v", i, got)
		}
	}
	if got := send(2); got.ErrorCode != 0 || got.BaseOffset != 2 {
		t.Errorf("duplicate of the fifth last batch: %+v, want offset 2", got)
	}
	if got := send(20); got.ErrorCode != 45 {
		t.Errorf("a gap in the sequence: error %d, want OUT_OF_ORDER_SEQUENCE_NUMBER", got.ErrorCode)
	}
	if end := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(); end != 12 {
		t.Errorf("log ends at %d, want 12", end)
	}
}

// TestRefusedAppendsTellLogStart: producers tell by it whether what the broker knew of them was deleted with their records.
func TestRefusedAppendsTellLogStart(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(b)
	send := func(records []byte) kmsg.ProduceResponseTopicPartition {
		return produce(t, h, produceRequest(9, -1, "orders", 0, records))
	}
	of := func(sequence int32) []byte {
		return fixture.Batch(t, 2, 1, record.BuilderOptions{Producer: &record.ProducerInfo{ID: 7, Sequence: sequence}})
	}
	send(of(0))
	p, err := b.Replicas.Partition(topic.Partition{Topic: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DeleteRecords(1); err != nil {
		t.Fatal(err)
	}
	broken := of(2)
	broken[17]++
	for _, tt := range []struct {
		records []byte
		code    int16
		start   int64
	}{{of(9), 45, 1}, {of(-1), 87, 1}, {broken, 2, -1}} {
		if got := send(tt.records); got.ErrorCode != tt.code || got.LogStartOffset != tt.start {
			t.Errorf("error %d, log start %d; want %d, %d", got.ErrorCode, got.LogStartOffset, tt.code, tt.start)
		}
	}
}

// TestPartitionNamedTwice: the last one counts, and is answered once.
func TestPartitionNamedTwice(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 40, []int32{1}, nil)
	b.Topic(t, "others", 1, []int32{1}, nil)
	for _, many := range []int32{1, 40} {
		req := produceRequest(9, -1, "orders", 0, fixture.Batch(t, 1, 10, record.BuilderOptions{}))
		add := func(name string, index int32, records int) {
			req.Topics = append(req.Topics, produceRequest(9, -1, name, index, fixture.Batch(t, records, 10, record.BuilderOptions{})).Topics...)
		}
		add("others", 0, 1)
		for i := range many - 1 {
			add("orders", i+1, 1)
		}
		add("orders", 0, 2)
		req.Topics[len(req.Topics)-1].Partitions = append(req.Topics[len(req.Topics)-1].Partitions,
			produceRequest(9, -1, "", 0, fixture.Batch(t, 3, 10, record.BuilderOptions{})).Topics[0].Partitions...)
		before := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset()
		resp := kmsg.NewPtrProduceResponse()
		fixture.Do(t, handler(b), req, resp)
		if got := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(); got != before+3 {
			t.Errorf("of %d partitions: the log grew from %d to %d, want only the last three records", many, before, got)
		}
		answers := map[topic.Partition]int{}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				answers[topic.Partition{Topic: rt.Topic, Index: rp.Partition}]++
				if rp.ErrorCode != 0 {
					t.Errorf("of %d partitions: %+v", many, rp)
				}
			}
			if len(rt.Partitions) == 0 {
				t.Errorf("of %d partitions: topic %s is answered without a partition", many, rt.Topic)
			}
		}
		if want := int(many) + 1; len(answers) != want || answers[topic.Partition{Topic: "orders"}] != 1 {
			t.Errorf("of %d partitions: answered are %v, want each once", many, answers)
		}
	}
}

func TestGarbageDropsTheConnection(t *testing.T) {
	b := fixture.New(t)
	h := handler(b)
	c := &discard{}
	h.Handle(&request.Request{Version: 9, Body: []byte{1, 2, 3}, To: c, Conn: &request.Conn{}})
	if !c.dropped {
		t.Error("a body that cannot be decoded must close the connection")
	}
}

// discard takes answers without keeping them.
type discard struct {
	buf     []byte
	dropped bool
}

func (d *discard) Reply(_ *request.Request, body request.Body) {
	if body == nil {
		return
	}
	d.buf = body.AppendTo(d.buf[:0])
	if r, ok := body.(request.Recycler); ok {
		r.Recycle()
	}
}

func (d *discard) Drop(*request.Request, error) { d.dropped = true }

func (d *discard) Abandon(*request.Request) { d.dropped = true }

// repeatable returns a request with a batch of n records, and what makes it fresh again after the
// broker has patched the batch.
func repeatable(t testing.TB, n int, to request.Replier) (*request.Request, func()) {
	batch := fixture.Batch(t, n, 1000, record.BuilderOptions{})
	body := produceRequest(9, -1, "orders", 0, batch).AppendTo(nil)
	at := bytes.Index(body, batch)
	r := &request.Request{Version: 9, Body: body, To: to, Conn: &request.Conn{Listener: fixture.Listener}}
	return r, func() { copy(body[at:], batch[:record.HeaderSize]) }
}

// TestAllocations holds the bound on garbage per produced request, whatever its size.
func TestAllocations(t *testing.T) {
	for _, n := range []int{1, 64, 1000} {
		b := fixture.New(t)
		b.Topic(t, "orders", 1, []int32{1}, nil)
		h, to := handler(b), &discard{}
		r, again := repeatable(t, n, to)
		allocs := testing.AllocsPerRun(200, func() { again(); h.Handle(r) })
		if got, want := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(), int64(201*n); got != want {
			t.Fatalf("log ends at %d, want %d: not every request was appended", got, want)
		}
		if allocs > 10 {
			t.Errorf("%d records: %.1f allocations per request, want 10 at most", n, allocs)
		}
		t.Logf("%d records: %.1f allocations", n, allocs)
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, size := range []int{1, 15, 63, 1000} {
		b.Run(fmt.Sprintf("records=%d", size), func(b *testing.B) {
			f := fixture.New(b)
			f.Topic(b, "orders", 1, []int32{1}, nil)
			h, to := handler(f), &discard{}
			r, again := repeatable(b, size, to)
			b.SetBytes(int64(len(r.Body)))
			b.ReportAllocs()
			for b.Loop() {
				again()
				h.Handle(r)
			}
		})
	}
}

// several sends requests as those of one connection that came together.
func several(h *Handler, reqs ...*kmsg.ProduceRequest) []*fixture.Call {
	calls := make([]*fixture.Call, len(reqs))
	var list []*request.Request
	collect := request.HandlerFunc(func(r *request.Request) { list = append(list, r) })
	for i, req := range reqs {
		calls[i] = fixture.Send(collect, req, "test")
	}
	h.HandleAll(list)
	return calls
}

func TestRequestsTogetherAreAnsweredAsIfAlone(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 2, []int32{1}, nil)
	h := handler(b)
	batch := func(n int) []byte { return fixture.Batch(t, n, 10, record.BuilderOptions{}) }
	broken := batch(1)
	broken[len(broken)-1]++
	calls := several(h,
		produceRequest(9, -1, "orders", 0, batch(3)),
		produceRequest(9, 1, "orders", 0, batch(2)),
		produceRequest(9, -1, "orders", 1, batch(5)),
		produceRequest(9, -1, "orders", 0, broken),
		produceRequest(9, -1, "nowhere", 0, batch(1)),
		produceRequest(9, -1, "orders", 0, batch(4)),
	)
	want := []struct {
		offset int64
		code   int16
	}{{0, 0}, {3, 0}, {0, 0}, {-1, kerr.CorruptMessage.Code}, {-1, kerr.UnknownTopicOrPartition.Code}, {5, 0}}
	for i, c := range calls {
		resp := kmsg.NewPtrProduceResponse()
		c.Wait(t, 9, resp)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != want[i].code || p.BaseOffset != want[i].offset {
			t.Errorf("answer %d: %+v, want %+v", i, p, want[i])
		}
	}
	if got := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(); got != 9 {
		t.Errorf("partition 0 ends at %d, want 9", got)
	}
}

// What is behind a request that cannot be read is not looked at, since the connection ends there.
func TestRequestsBehindAnUnreadableOneAreDropped(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(b)
	list := []*request.Request{}
	collect := request.HandlerFunc(func(r *request.Request) { list = append(list, r) })
	batch := fixture.Batch(t, 1, 10, record.BuilderOptions{})
	good := fixture.Send(collect, produceRequest(9, -1, "orders", 0, slices.Clone(batch)), "test")
	bad := fixture.SendBody(collect, 0, 9, []byte{0, 0})
	late := fixture.Send(collect, produceRequest(9, -1, "orders", 0, slices.Clone(batch)), "test")
	h.HandleAll(list)
	good.Wait(t, 9, kmsg.NewPtrProduceResponse())
	if bad.Dropped() == nil || late.Dropped() == nil {
		t.Error("the connection goes on")
	}
	if got := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(); got != 1 {
		t.Errorf("the log ends at %d, want 1", got)
	}
}

// What is behind a request without an answer that is refused is not looked at either; what is in front of it is, and its own
// other partitions.
func TestRequestsBehindARefusedOneWithoutAcksAreDropped(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 3, []int32{1}, nil)
	batch := func() []byte { return fixture.Batch(t, 1, 10, record.BuilderOptions{}) }
	refused := produceRequest(9, 0, "nowhere", 0, batch())
	refused.Topics = append(refused.Topics, produceRequest(9, 0, "orders", 1, batch()).Topics...)
	calls := several(handler(b), produceRequest(9, 0, "orders", 0, batch()), refused, produceRequest(9, 0, "orders", 2, batch()))
	for i, ends := range []bool{false, true, true} {
		if err := calls[i].Dropped(); (err != nil) != ends {
			t.Errorf("request %d ends the connection: %v, want %v", i, err, ends)
		}
	}
	for index, want := range []int64{1, 1, 0} {
		if got := b.Storage.Log(topic.Partition{Topic: "orders", Index: int32(index)}).EndOffset(); got != want {
			t.Errorf("partition %d ends at %d, want %d", index, got, want)
		}
	}
}
