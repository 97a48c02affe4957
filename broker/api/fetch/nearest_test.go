package fetch

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

// follow has broker id fetch all of orders-0, as a follower in the ISR does.
func follow(t *testing.T, h *Handler, id int32, offset int64) {
	t.Helper()
	req := fetchRequest(12, "orders", topic.ID{}, offset, 0)
	req.ReplicaID = id
	req.Topics[0].Partitions[0].LogStartOffset = 0
	if got := fetch(t, h, req).Topics[0].Partitions[0]; got.ErrorCode != 0 {
		t.Fatalf("follower %d: error %d", id, got.ErrorCode)
	}
}

// TestNearestReplica: a consumer that tells its rack is sent to the replica there, if that is in the ISR and
// has what it asks for.
func TestNearestReplica(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2, 3}, nil)
	write(t, b, "orders", 0, 4, 1)
	h := handler(t, b)
	h.NearestRack = true
	follow(t, h, 2, 4)
	follow(t, h, 3, 2)
	tests := []struct {
		name    string
		version int16
		rack    string
		offset  int64
		want    int32
	}{
		{"in the rack of a follower", 11, "rack-2", 0, 2},
		{"by topic id", 13, "rack-2", 4, 2},
		{"at the follower's end", 17, "rack-3", 2, 3},
		{"beyond the follower's end", 11, "rack-3", 3, -1},
		{"in the leader's rack", 11, "rack-1", 0, -1},
		{"in a rack without a replica", 11, "rack-9", 0, -1},
		{"no rack", 11, "", 0, -1},
		{"before racks", 10, "rack-2", 0, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := fetchRequest(tt.version, "orders", id, tt.offset, 0)
			req.Rack = tt.rack
			req.MaxWaitMillis = 0
			if tt.want >= 0 {
				req.MaxWaitMillis, req.MinBytes = 60_000, 1<<20 // a preferred replica is answered at once
			}
			got := fetch(t, h, req).Topics[0].Partitions[0]
			if got.ErrorCode != 0 || got.PreferredReadReplica != tt.want {
				t.Fatalf("error %d, preferred replica %d, want %d", got.ErrorCode, got.PreferredReadReplica, tt.want)
			}
			if tt.want >= 0 && (len(got.RecordBatches) > 0 || got.HighWatermark != 2 || got.LogStartOffset != 0) {
				t.Errorf("%d bytes, high watermark %d beside a preferred replica", len(got.RecordBatches), got.HighWatermark)
			}
		})
	}
	t.Run("older leader epoch", func(t *testing.T) {
		req := fetchRequest(12, "orders", id, 0, 0)
		req.Rack = "rack-2"
		req.Topics[0].Partitions[0].CurrentLeaderEpoch = 9
		if got := fetch(t, h, req).Topics[0].Partitions[0]; got.ErrorCode != 75 || got.PreferredReadReplica != -1 {
			t.Errorf("error %d, preferred replica %d", got.ErrorCode, got.PreferredReadReplica)
		}
	})
	t.Run("out of the ISR", func(t *testing.T) {
		b.Lead(t, id, replica.PartitionState{
			Partition: topic.Partition{Topic: "orders"}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1, 3}, Replicas: []int32{1, 2, 3},
		})
		req := fetchRequest(12, "orders", id, 0, 0)
		req.Rack = "rack-2"
		if got := fetch(t, h, req).Topics[0].Partitions[0]; got.PreferredReadReplica != -1 {
			t.Errorf("preferred replica %d", got.PreferredReadReplica)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		h.NearestRack = false
		req := fetchRequest(12, "orders", id, 0, 0)
		req.Rack = "rack-3"
		if got := fetch(t, h, req).Topics[0].Partitions[0]; got.PreferredReadReplica != -1 {
			t.Errorf("preferred replica %d", got.PreferredReadReplica)
		}
	})
}

// TestNearestReplicaInSession: an incremental answer mentions a partition for its preferred replica alone.
func TestNearestReplicaInSession(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	write(t, b, "orders", 0, 1, 1)
	h := handler(t, b)
	h.NearestRack = true
	req := fetchRequest(12, "orders", id, 0, 0)
	req.Rack, req.SessionEpoch = "rack-2", 0
	first := fetch(t, h, req)
	if got := first.Topics[0].Partitions[0].PreferredReadReplica; got != -1 {
		t.Fatalf("preferred replica %d before it has fetched", got)
	}
	follow(t, h, 2, 1)
	for range 2 { // the high watermark is news the first time only
		req.SessionID, req.SessionEpoch, req.Topics = first.SessionID, req.SessionEpoch+1, nil
		got := fetch(t, h, req)
		if len(got.Topics) != 1 || got.Topics[0].Partitions[0].PreferredReadReplica != 2 {
			t.Errorf("epoch %d: %+v", req.SessionEpoch, got.Topics)
		}
	}
}

// TestFollowerServesConsumers up to the high watermark that it knows.
func TestFollowerServesConsumers(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	stored := write(t, b, "orders", 0, 4, 1)
	b.Lead(t, id, replica.PartitionState{
		Partition: topic.Partition{Topic: "orders"}, Leader: 2, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1, 2}, Replicas: []int32{1, 2},
	})
	log := b.Storage.Log(topic.Partition{Topic: "orders"})
	log.SetHighWatermark(3)
	h := handler(t, b)
	h.NearestRack = true
	get := func(version int16, offset int64) kmsg.FetchResponseTopicPartition {
		req := fetchRequest(version, "orders", id, offset, 0)
		req.Rack = "rack-1"
		req.MaxWaitMillis = 0
		return fetch(t, h, req).Topics[0].Partitions[0]
	}
	batch := len(stored) / 4
	for _, tt := range []struct {
		version int16
		offset  int64
		code    int16
		size    int
	}{{10, 0, 6, 0}, {11, 0, 0, 3 * batch}, {17, 1, 0, 2 * batch}, {11, 3, 0, 0}, {11, 4, 0, 0}, {11, 5, 1, 0}} {
		got := get(tt.version, tt.offset)
		if got.ErrorCode != tt.code || len(got.RecordBatches) != tt.size || got.PreferredReadReplica != -1 {
			t.Errorf("v%d from %d: error %d, %d bytes, preferred %d; want error %d, %d bytes",
				tt.version, tt.offset, got.ErrorCode, len(got.RecordBatches), got.PreferredReadReplica, tt.code, tt.size)
		}
	}
}

// TestRacksCostNothingElsewhere: consumers that tell no rack pay nothing for those that do.
func TestRacksCostNothingElsewhere(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	write(t, b, "orders", 0, 1, 1)
	h := handler(t, b)
	r := &request.Request{Version: 13, Body: fetchRequest(13, "", id, 0, 0).AppendTo(nil), To: &sink{}, Conn: &request.Conn{}}
	without := testing.AllocsPerRun(200, func() { h.Handle(r) })
	h.NearestRack = true
	if with := testing.AllocsPerRun(200, func() { h.Handle(r) }); with > without {
		t.Errorf("%.1f allocations instead of %.1f", with, without)
	}
}
