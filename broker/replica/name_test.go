package replica_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// TestNoLogOfAnInvalidName: somebody who only says that it is the controller cannot fail the log directory, leave it, or
// put something there that the next start refuses.
func TestNoLogOfAnInvalidName(t *testing.T) {
	e := newEnv(t)
	var states []replica.PartitionState
	for _, p := range []topic.Partition{
		{Topic: ""}, {Topic: ".."}, {Topic: "../outside"}, {Topic: "a/b"}, {Topic: "a\x00b"}, {Topic: "späť"},
		{Topic: strings.Repeat("t", 250)}, {Topic: strings.Repeat("t", 249), Index: math.MaxInt32},
		{Topic: "orders", Index: -1}, {Topic: "orders", Index: math.MinInt32},
	} {
		s := state(self, 0, 0, []int32{1}, []int32{1})
		s.Partition, s.TopicID = p, topic.NewID()
		states = append(states, s)
	}
	good := state(self, 0, 0, []int32{1}, []int32{1})
	good.Partition = topic.Partition{Topic: strings.Repeat("t", 249), Index: 9}
	states = append(states, good)
	errs, err := e.manager.Apply(replica.Command{ControllerID: 9, ControllerEpoch: 5, BrokerEpoch: e.epoch}, states)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs[:len(errs)-1] {
		if !errors.Is(err, replica.ErrInvalidPartition) {
			t.Errorf("%v: %v, want ErrInvalidPartition", states[i].Partition, err)
		}
	}
	if err := errs[len(errs)-1]; err != nil {
		t.Errorf("a partition with a name that is long enough: %v", err)
	}
}
