package replica_test

import (
	"slices"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/gregor-mq/gregor/broker/replica"
)

// TestTransitionsAreLogged protects what tells an operator afterwards who led a partition when: a line for each replica that
// begins to lead or to follow, none for what the controller says again or what is refused.
func TestTransitionsAreLogged(t *testing.T) {
	log, hook := test.NewNullLogger()
	e := newEnv(t, func(o *replica.Options) { o.StateChanges = logrus.FieldLogger(log) })
	replicas := []int32{1, 2}
	for _, s := range []replica.PartitionState{
		state(1, 0, 0, replicas, replicas),
		state(1, 0, 0, replicas, replicas), // what a new controller repeats
		state(2, 3, 4, []int32{2}, replicas),
		state(1, 4, 5, []int32{2}, []int32{2, 3}), // not of this broker
		state(replica.NoLeader, 5, 6, []int32{2}, replicas),
	} {
		_ = e.apply(s) // refusals are said elsewhere
	}
	want := []string{
		"Leader orders-0 starts at leader epoch 0 from offset 0 with partition epoch 0, high watermark 0, ISR [1 2]. " +
			"Previous leader none and previous leader epoch was -1",
		"Follower orders-0 starts at leader epoch 3 from offset 0 with partition epoch 4 and high watermark 0. " +
			"Current leader is 2. Previous leader 1 and previous leader epoch was 0",
		"Follower orders-0 starts at leader epoch 5 from offset 0 with partition epoch 6 and high watermark 0. " +
			"Current leader is -1. Previous leader 2 and previous leader epoch was 3",
	}
	var got []string
	for _, entry := range hook.AllEntries() {
		got = append(got, entry.Message)
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}
