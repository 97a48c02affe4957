package replica_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// TestRefusalsAreLogged: a replica that does not do what the controller says would otherwise be missing without a word.
func TestRefusalsAreLogged(t *testing.T) {
	log, logged := test.NewNullLogger()
	var broken bool
	e := newEnv(t, func(o *replica.Options) {
		o.Logger = log
		configured := o.TopicConfig
		o.TopicConfig = func(name string) (storage.LogConfig, error) {
			if broken {
				return storage.LogConfig{}, errors.New("not JSON")
			}
			return configured(name)
		}
	})
	was, is := topic.NewID(), topic.NewID()
	states := make([]replica.PartitionState, 12)
	for i := range states {
		states[i] = state(self, 0, 0, []int32{1}, []int32{1})
		states[i].Index, states[i].TopicID = int32(i), was
	}
	command := replica.Command{ControllerID: 9, ControllerEpoch: 5, BrokerEpoch: e.epoch}
	apply := func() {
		t.Helper()
		if _, err := e.manager.Apply(command, states); err != nil {
			t.Fatal(err)
		}
	}
	apply()
	apply() // as every new controller does
	for i := range states {
		states[i].LeaderEpoch, states[i].TopicID = 1, is
	}
	states[11].TopicID = topic.NewID() // a line for all of them
	apply()
	states = []replica.PartitionState{state(2, 1, 1, []int32{2}, []int32{2})}
	states[0].TopicID = was
	apply()
	broken = true
	states[0] = state(self, 0, 0, []int32{1}, []int32{1})
	states[0].Topic = "payments"
	apply()
	if _, err := e.manager.StopReplicas(command, []replica.Stop{{Partition: orders, LeaderEpoch: -1, Delete: true},
		{Partition: topic.Partition{Topic: "orders", Index: 1}, LeaderEpoch: 0}}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		fmt.Sprintf("error: Ignoring LeaderAndIsr for orders-0, orders-1, orders-10, orders-11, orders-2, orders-3, orders-4, orders-5, "+
			"orders-6, orders-7 and 2 more: topic id does not match the log's, as of orders-0: it has %s, and the controller means %s", was, is),
		"warning: Ignoring LeaderAndIsr for orders-0: unknown topic or partition",
		"error: Ignoring LeaderAndIsr for payments-0: properties of topic payments: not JSON",
	}
	var got []string
	for _, entry := range logged.AllEntries() {
		if entry.Level < logrus.InfoLevel {
			got = append(got, fmt.Sprintf("%s: %s: %s", entry.Level, entry.Message, entry.Data["error"]))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
