package fetch

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/quota"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// followed makes a topic of two partitions, both with the replicas 1, 2 and 3, of which 3 is not in sync.
func followed(t *testing.T, b *fixture.Broker) topic.ID {
	id := b.Topic(t, "orders", 2, []int32{1, 2, 3}, nil)
	var states []replica.PartitionState
	for i := range int32(2) {
		states = append(states, replica.PartitionState{
			Partition: topic.Partition{Topic: "orders", Index: i}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1, 2}, Replicas: []int32{1, 2, 3},
		})
	}
	b.Lead(t, id, states...)
	return id
}

// TestThrottledFollowers: above the rate a follower out of sync is served nothing of throttled partitions, and all
// of the others; those in sync and consumers never notice.
func TestThrottledFollowers(t *testing.T) {
	b := fixture.New(t)
	followed(t, b)
	size := len(write(t, b, "orders", 0, 1, 10))
	throttledPart := kmsg.NewPtrFetchResponse() // of an answer, but for the records
	throttledPart.Version, throttledPart.Topics = 12, []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{kmsg.NewFetchResponseTopicPartition()}}}
	write(t, b, "orders", 1, 1, 10)
	h := handler(t, b)
	now := time.Unix(1_700_000_000, 0)
	h.Now = func() time.Time { return now }
	h.Throttle = quota.NewReplication(11, time.Second)
	ps, err := quota.ParsePartitions([]string{"0:1", "1:2"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	h.Throttle.Throttle("orders", ps)
	h.Throttle.SetRate(int64(size) + 4 + int64(len(throttledPart.AppendTo(nil))))
	served := func(replica int32) (sizes [2]int) {
		req := fetchRequest(12, "orders", topic.ID{}, 0, 0, 1)
		req.ReplicaID = replica
		for i, p := range fetch(t, h, req).Topics[0].Partitions {
			if p.ErrorCode != 0 || p.HighWatermark < 0 {
				t.Errorf("replica %d: error %d, high watermark %d", replica, p.ErrorCode, p.HighWatermark)
			}
			sizes[i] = len(p.RecordBatches)
		}
		return sizes
	}
	all, rest := [2]int{size, size}, [2]int{0, size}
	for i, step := range []struct {
		after   time.Duration
		replica int32
		want    [2]int
	}{
		{0, 3, all},                       // within the rate
		{0, 2, all},                       // which this exceeds
		{0, 3, rest},                      // not in sync
		{0, -1, [2]int{}},                 // nothing is committed for consumers
		{0, 2, all},                       // in sync
		{2 * time.Second, 3, rest},        // 3 times the rate in 2 seconds
		{1999 * time.Millisecond, 3, all}, // and now it is less than that, what names them and holds nothing included
		{20 * time.Second, 3, all},        // all is forgotten
	} {
		now = now.Add(step.after)
		if got := served(step.replica); got != step.want {
			t.Errorf("step %d: replica %d is served %v bytes, want %v", i, step.replica, got, step.want)
		}
	}
}

// TestThrottledFollowersWait: a fetch that is held back is no reason to answer, and is not woken by more of the same.
func TestThrottledFollowersWait(t *testing.T) {
	b := fixture.New(t)
	followed(t, b)
	write(t, b, "orders", 0, 1, 10)
	h := handler(t, b)
	h.Throttle = quota.NewReplication(11, time.Second)
	ps, err := quota.ParsePartitions([]string{"*"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	h.Throttle.Throttle("orders", ps)
	h.Throttle.SetRate(1)
	h.Throttle.Record(1000, time.Now())
	req := fetchRequest(12, "orders", topic.ID{}, 0, 0)
	req.ReplicaID, req.MaxWaitMillis = 3, 60_000
	waiting := fixture.Send(h, req, "c")
	write(t, b, "orders", 0, 1, 10)
	if !waiting.Pending() {
		t.Fatal("a throttled fetch is answered at once")
	}
	h.Throttle.SetRate(quota.Unlimited)
	write(t, b, "orders", 0, 1, 10)
	resp := kmsg.NewPtrFetchResponse()
	waiting.Wait(t, 12, resp)
	if n := len(resp.Topics[0].Partitions[0].RecordBatches); n == 0 {
		t.Error("nothing is served when the throttle is lifted")
	}
}
