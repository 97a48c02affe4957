package client

import (
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
)

func TestNewListOffsets(t *testing.T) {
	req := newListOffsets([]topic.Partition{{Topic: "b", Index: 1}, {Topic: "a", Index: 0}, {Topic: "b", Index: 0}}, -3)
	var got []string
	for _, asked := range req.Topics {
		for _, p := range asked.Partitions {
			got = append(got, topic.Partition{Topic: asked.Topic, Index: p.Partition}.String())
			if p.Timestamp != -3 || p.CurrentLeaderEpoch != -1 {
				t.Errorf("%s is asked for at %d, epoch %d", asked.Topic, p.Timestamp, p.CurrentLeaderEpoch)
			}
		}
	}
	if want := []string{"a-0", "b-1", "b-0"}; !slices.Equal(got, want) || req.ReplicaID != -1 {
		t.Errorf("asked for %v as %d, want %v as -1", got, req.ReplicaID, want)
	}
}
