package offsets

import (
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

func handlers(b *fixture.Broker) *Handlers {
	return &Handlers{Replicas: b.Replicas, Metadata: b.Metadata, Logger: b.Logger}
}

// write appends a batch of n records, with timestamps 1000, 1001, and so on, to partition 0 of name.
func write(t testing.TB, b *fixture.Broker, name string, n int, opts record.BuilderOptions) {
	t.Helper()
	p, err := b.Replicas.Partition(topic.Partition{Topic: name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Append(fixture.Batch(t, n, 10, opts), record.Client, false, time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
}

func list(t testing.TB, h *Handlers, version int16, name string, ts int64, change func(*kmsg.ListOffsetsRequest)) kmsg.ListOffsetsResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = version, consumerReplica
	q := kmsg.NewListOffsetsRequestTopicPartition()
	q.Timestamp, q.MaxNumOffsets = ts, 10
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{q}}}
	if change != nil {
		change(req)
	}
	resp := kmsg.NewPtrListOffsetsResponse()
	fixture.Do(t, request.HandlerFunc(h.ListOffsets), req, resp)
	return resp.Topics[0].Partitions[0]
}

func TestListOffsets(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	write(t, b, "orders", 10, record.BuilderOptions{})
	b.Follow(t, topic.Partition{Topic: "orders"}, 7, 0) // the high watermark is 7
	if p, err := b.Replicas.Partition(topic.Partition{Topic: "orders"}); err != nil {
		t.Fatal(err)
	} else if _, err := p.DeleteRecords(2); err != nil {
		t.Fatal(err)
	}
	h := handlers(b)
	asReplica := func(id int32) func(*kmsg.ListOffsetsRequest) {
		return func(r *kmsg.ListOffsetsRequest) { r.ReplicaID = id }
	}
	tests := []struct {
		name          string
		version       int16
		ts            int64
		change        func(*kmsg.ListOffsetsRequest)
		offset, found int64
		code          int16
	}{
		{name: "latest", version: 1, ts: -1, offset: 7, found: -1},
		{name: "latest for a replica", version: 1, ts: -1, change: asReplica(2), offset: 10, found: -1},
		{name: "latest for a debugger", version: 1, ts: -1, change: asReplica(-2), offset: 10, found: -1},
		{name: "latest, committed", version: 2, ts: -1, change: func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 1 }, offset: 7, found: -1},
		{name: "earliest", version: 1, ts: -2, offset: 2, found: -1},
		{name: "earliest local", version: 8, ts: -4, offset: 2, found: -1},
		{name: "latest tiered: nothing is", version: 9, ts: -5, offset: -1, found: -1},
		{name: "by timestamp", version: 1, ts: 1004, offset: 4, found: 1004},
		{name: "before the start", version: 1, ts: 1, offset: 2, found: 1002},
		{name: "above the high watermark", version: 1, ts: 1008, offset: -1, found: -1},
		{name: "above it for a replica", version: 1, ts: 1008, change: asReplica(2), offset: 8, found: 1008},
		{name: "none so late", version: 1, ts: 5000, offset: -1, found: -1},
		{name: "largest timestamp is not committed", version: 7, ts: -3, offset: -1, found: -1},
		{name: "largest timestamp", version: 7, ts: -3, change: asReplica(2), offset: 9, found: 1009},
		{name: "before its version", version: 6, ts: -3, code: 35},
		{name: "unknown special", version: 9, ts: -6, code: 35},
		{name: "older epoch is fine when it is not given", version: 4, ts: -2, offset: 2, found: -1},
		{name: "newer epoch", version: 4, ts: -1, change: func(r *kmsg.ListOffsetsRequest) { r.Topics[0].Partitions[0].CurrentLeaderEpoch = 9 }, code: 75},
		{name: "unknown topic", version: 1, ts: -1, change: func(r *kmsg.ListOffsetsRequest) { r.Topics[0].Topic = "nowhere" }, code: 3},
		{name: "unknown isolation level", version: 2, ts: -1, change: func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 2 }, code: -1},
		{name: "unknown isolation level and special", version: 2, ts: -3, change: func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 2 }, code: 35},
		{name: "twice, with an unknown isolation level", version: 2, ts: -1, change: func(r *kmsg.ListOffsetsRequest) {
			r.IsolationLevel = 2
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		}, code: 42},
		{name: "twice", version: 1, ts: -1, change: func(r *kmsg.ListOffsetsRequest) {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		}, code: 42},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.code != 0 {
				tt.offset, tt.found = -1, -1
			}
			got := list(t, h, tt.version, "orders", tt.ts, tt.change)
			if got.ErrorCode != tt.code || got.Offset != tt.offset || got.Timestamp != tt.found {
				t.Errorf("error %d, offset %d, timestamp %d; want %d, %d, %d", got.ErrorCode, got.Offset, got.Timestamp, tt.code, tt.offset, tt.found)
			}
		})
	}
	for _, tt := range []struct {
		ts        int64
		max, code int16
	}{{-3, 1, 35}, {-100, -1, 35}, {-2, -1, -1}, {0, -1, -1}, {-2, 0, 0}} {
		got := list(t, h, 0, "orders", tt.ts, func(r *kmsg.ListOffsetsRequest) { r.Topics[0].Partitions[0].MaxNumOffsets = int32(tt.max) })
		if got.ErrorCode != tt.code || len(got.OldStyleOffsets) > 0 {
			t.Errorf("v0, timestamp %d, %d offsets: error %d, want %d", tt.ts, tt.max, got.ErrorCode, tt.code)
		}
	}
	if got := list(t, h, 0, "orders", -1, nil); got.ErrorCode != 0 || !slices.Equal(got.OldStyleOffsets, []int64{7, 2}) {
		t.Errorf("v0: error %d, offsets %v; want 7 and 2", got.ErrorCode, got.OldStyleOffsets)
	}
}

func TestLatestOffsetOfANewLeader(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	write(t, b, "orders", 10, record.BuilderOptions{})
	b.Follow(t, topic.Partition{Topic: "orders"}, 4, 0)
	b.Lead(t, id, replica.PartitionState{
		Partition: topic.Partition{Topic: "orders"}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1, 2}, Replicas: []int32{1, 2},
	})
	h := handlers(b)
	for version, want := range map[int16]int16{4: 5, 5: 78, 9: 78} {
		for _, ts := range []int64{-1, 5000} {
			if got := list(t, h, version, "orders", ts, nil); got.ErrorCode != want {
				t.Errorf("v%d, timestamp %d: error %d, want %d", version, ts, got.ErrorCode, want)
			}
		}
		if got := list(t, h, version, "orders", 1001, nil); got.ErrorCode != 0 || got.Offset != 1 {
			t.Errorf("v%d: what is committed: error %d, offset %d; want 1", version, got.ErrorCode, got.Offset)
		}
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	write(t, b, "orders", 4, record.BuilderOptions{})
	b.Lead(t, id, replica.PartitionState{
		Partition: topic.Partition{Topic: "orders"}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 1, ISR: []int32{1}, Replicas: []int32{1, 2},
	})
	write(t, b, "orders", 2, record.BuilderOptions{})
	h := handlers(b)
	ask := func(known, epoch, from int32, name string) kmsg.OffsetForLeaderEpochResponseTopicPartition {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.Version, req.ReplicaID = 4, from
		q := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		q.CurrentLeaderEpoch, q.LeaderEpoch = known, epoch
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: name, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{q}}}
		resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
		fixture.Do(t, request.HandlerFunc(h.OffsetForLeaderEpoch), req, resp)
		return resp.Topics[0].Partitions[0]
	}
	tests := []struct {
		name         string
		topic        string
		known, epoch int32
		code         int16
		found        int32
		end          int64
	}{
		{"current", "orders", -1, 3, 0, 3, 6},
		{"earlier", "orders", 3, 0, 0, 0, 4},
		{"between", "orders", -1, 2, 0, 0, 4},
		{"later", "orders", -1, 4, 0, -1, -1},
		{"fenced", "orders", 2, 0, 74, -1, -1},
		{"from the future", "orders", 4, 0, 75, -1, -1},
		{"unknown topic", "nowhere", -1, 0, 3, -1, -1},
	}
	for _, tt := range tests {
		got := ask(tt.known, tt.epoch, -1, tt.topic)
		if got.ErrorCode != tt.code || got.LeaderEpoch != tt.found || got.EndOffset != tt.end {
			t.Errorf("%s: error %d, epoch %d ends at %d; want %d, %d, %d", tt.name, got.ErrorCode, got.LeaderEpoch, got.EndOffset, tt.code, tt.found, tt.end)
		}
	}
	b.Lead(t, id, replica.PartitionState{
		Partition: topic.Partition{Topic: "orders"}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 2, ISR: []int32{1, 2}, Replicas: []int32{1, 2},
	})
	for _, from := range []int32{-1, -2, 2} {
		if got := ask(-1, 3, from, "orders"); got.ErrorCode != 6 {
			t.Errorf("a follower that is asked by %d: error %d, want NOT_LEADER_OR_FOLLOWER", from, got.ErrorCode)
		}
	}
}

func deletion(offset int64, timeoutMs int32, names ...string) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = 2, timeoutMs
	for _, name := range names {
		req.Topics = append(req.Topics, kmsg.DeleteRecordsRequestTopic{
			Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: offset}},
		})
	}
	return req
}

func TestDeleteRecords(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "alone", 1, []int32{1}, nil)
	b.Topic(t, "compacted", 1, []int32{1}, func(c *storage.LogConfig) { c.Delete, c.Compact = false, true })
	b.Topic(t, topic.ConsumerOffsets, 1, []int32{1}, nil)
	b.Topic(t, "elsewhere", 1, []int32{2}, nil)
	write(t, b, "alone", 10, record.BuilderOptions{})
	h := handlers(b)
	tests := []struct {
		topic  string
		offset int64
		code   int16
		low    int64
	}{
		{"alone", 4, 0, 4},
		{"alone", 2, 0, 4}, // the start does not go back
		{"alone", 11, 1, -1},
		{"alone", -2, 1, -1},
		{"alone", -1, 0, 10},
		{"compacted", 0, 44, -1},
		{topic.ConsumerOffsets, 0, 17, -1},
		{topic.TransactionState, 0, 3, -1}, // unknown counts before internal
		{"elsewhere", 0, 6, -1},
		{"nowhere", 0, 3, -1},
	}
	for _, tt := range tests {
		resp := kmsg.NewPtrDeleteRecordsResponse()
		fixture.Do(t, request.HandlerFunc(h.DeleteRecords), deletion(tt.offset, 60_000, tt.topic), resp)
		if got := resp.Topics[0].Partitions[0]; got.ErrorCode != tt.code || got.LowWatermark != tt.low {
			t.Errorf("%s to %d: error %d, low watermark %d; want %d, %d", tt.topic, tt.offset, got.ErrorCode, got.LowWatermark, tt.code, tt.low)
		}
	}
}

// TestDeleteRecordsMentionedTwice: the last mention of a partition counts, in one answer; a topic without partitions has
// none.
func TestDeleteRecordsMentionedTwice(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "alone", 1, []int32{1}, nil)
	write(t, b, "alone", 10, record.BuilderOptions{})
	h := handlers(b)
	req := deletion(8, 60_000, "alone", "nowhere", "alone")
	req.Topics[2].Partitions[0].Offset = 3
	req.Topics = append(req.Topics, kmsg.DeleteRecordsRequestTopic{Topic: "empty"})
	resp := kmsg.NewPtrDeleteRecordsResponse()
	fixture.Do(t, request.HandlerFunc(h.DeleteRecords), req, resp)
	if len(resp.Topics) != 2 || len(resp.Topics[0].Partitions) != 1 || len(resp.Topics[1].Partitions) != 1 {
		t.Fatalf("answers %+v, want one for each of two partitions", resp.Topics)
	}
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.LowWatermark != 3 {
		t.Errorf("error %d, low watermark %d; want 0, 3", got.ErrorCode, got.LowWatermark)
	}
}

func TestDeleteRecordsWaitsForFollowers(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	write(t, b, "orders", 10, record.BuilderOptions{})
	b.Follow(t, topic.Partition{Topic: "orders"}, 10, 0)
	h := handlers(b)
	waiting := fixture.Send(request.HandlerFunc(h.DeleteRecords), deletion(6, 60_000, "orders", "nowhere"), "c")
	if !waiting.Pending() {
		t.Fatal("answered before the follower has deleted")
	}
	b.Follow(t, topic.Partition{Topic: "orders"}, 10, 6)
	resp := kmsg.NewPtrDeleteRecordsResponse()
	waiting.Wait(t, 2, resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.LowWatermark != 6 {
		t.Errorf("%+v, want low watermark 6", got)
	}
	if got := resp.Topics[1].Partitions[0]; got.ErrorCode != 3 {
		t.Errorf("beside it: error %d, want UNKNOWN_TOPIC_OR_PARTITION", got.ErrorCode)
	}
	for _, timeout := range []int32{-1, 0, 5} {
		resp := kmsg.NewPtrDeleteRecordsResponse()
		fixture.Do(t, request.HandlerFunc(h.DeleteRecords), deletion(8, timeout, "orders"), resp)
		if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 7 || got.LowWatermark != -1 {
			t.Errorf("timeout %d: %+v, want REQUEST_TIMED_OUT", timeout, got)
		}
	}
}

func TestDeleteRecordsOfATopicThatIsDeleted(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	write(t, b, "orders", 10, record.BuilderOptions{})
	b.Follow(t, topic.Partition{Topic: "orders"}, 10, 0)
	waiting := fixture.Send(request.HandlerFunc(handlers(b).DeleteRecords), deletion(6, 60_000, "orders"), "c")
	b.Delete(t, "orders", 1)
	resp := kmsg.NewPtrDeleteRecordsResponse()
	waiting.Wait(t, 2, resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 3 {
		t.Errorf("error %d, want UNKNOWN_TOPIC_OR_PARTITION", got.ErrorCode)
	}
}

func TestDescribeProducers(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	b.Topic(t, "elsewhere", 1, []int32{2}, nil)
	write(t, b, "orders", 3, record.BuilderOptions{Producer: &record.ProducerInfo{ID: 7, Epoch: 2}})
	h := handlers(b)
	var index int32
	describe := func(name string) kmsg.DescribeProducersResponseTopicPartition {
		req := kmsg.NewPtrDescribeProducersRequest()
		req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: name, Partitions: []int32{index}}}
		resp := kmsg.NewPtrDescribeProducersResponse()
		fixture.Do(t, request.HandlerFunc(h.DescribeProducers), req, resp)
		return resp.Topics[0].Partitions[0]
	}
	got := describe("orders")
	if got.ErrorCode != 0 || len(got.ActiveProducers) != 1 {
		t.Fatalf("%+v, want one producer", got)
	}
	if p := got.ActiveProducers[0]; p.ProducerID != 7 || p.ProducerEpoch != 2 || p.LastSequence != 2 || p.LastTimestamp != 1002 || p.CurrentTxnStartOffset != -1 {
		t.Errorf("%+v", p)
	}
	for name, want := range map[string]int16{"nowhere": 3, "elsewhere": 6, "a b": 17} {
		if got := describe(name); got.ErrorCode != want || (got.ErrorMessage == nil) != (name == "elsewhere") {
			t.Errorf("%s: error %d, %v, want %d", name, got.ErrorCode, got.ErrorMessage, want)
		}
	}
	index = 7
	if got := describe("orders"); got.ErrorCode != 3 || got.ErrorMessage != nil {
		t.Errorf("a partition that the topic does not have: error %d, %v, want 3 without a text", got.ErrorCode, got.ErrorMessage)
	}
}

// TestDescribeProducersRepeated names a partition so often that its producers would fill 20 MB.
func TestDescribeProducersRepeated(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	write(t, b, "orders", 3, record.BuilderOptions{Producer: &record.ProducerInfo{ID: 7, Epoch: 2}})
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "orders", Partitions: make([]int32, 500_000)}}
	resp := kmsg.NewPtrDescribeProducersResponse()
	fixture.Do(t, request.HandlerFunc(handlers(b).DescribeProducers), req, resp)
	list := resp.Topics[0].Partitions
	for i, want := range map[int]int16{0: 0, 1: 0, 400_000: 0, len(list) - 1: 42} {
		if p := list[i]; p.ErrorCode != want || (len(p.ActiveProducers) == 1) != (want == 0) {
			t.Errorf("entry %d: error %d, %d producers, want error %d", i, p.ErrorCode, len(p.ActiveProducers), want)
		}
	}
}

func TestFailedLogDirectory(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handlers(b)
	b.FailDir()
	for _, ts := range []int64{-1, -2, 1000} {
		if got := list(t, h, 5, "orders", ts, nil); got.ErrorCode != 56 {
			t.Errorf("ListOffsets %d: error %d, want KAFKA_STORAGE_ERROR", ts, got.ErrorCode)
		}
	}
	resp := kmsg.NewPtrDeleteRecordsResponse()
	fixture.Do(t, request.HandlerFunc(h.DeleteRecords), deletion(0, 60_000, "orders"), resp)
	if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 56 {
		t.Errorf("DeleteRecords: error %d, want KAFKA_STORAGE_ERROR", got.ErrorCode)
	}
}
