package replica_test

import (
	"errors"
	"testing"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
)

// TestReplicaOfDirectoryThatWasOffline: a replica that may lie on a directory of no use is offline for everybody, and
// cannot be deleted: it would be there again with the directory, when its topic is long another one.
func TestReplicaOfDirectoryThatWasOffline(t *testing.T) {
	e := newEnv(t)
	e.failDir()
	s := state(self, 1, 0, []int32{1}, []int32{1})
	s.IsNew = false
	if _, err := e.manager.Partition(orders); errors.Is(err, storage.ErrStorage) {
		t.Errorf("Partition before the controller has said that it is here: %v", err)
	}
	if err := e.apply(s); !errors.Is(err, storage.ErrStorage) {
		t.Errorf("LeaderAndIsr: %v, want ErrStorage", err)
	}
	if _, err := e.manager.Partition(orders); !errors.Is(err, storage.ErrStorage) {
		t.Errorf("Partition: %v, want ErrStorage", err)
	}
	for _, remove := range []bool{false, true} {
		errs, err := e.manager.StopReplicas(replica.Command{ControllerEpoch: 5, BrokerEpoch: -1},
			[]replica.Stop{{Partition: orders, LeaderEpoch: -2, Delete: remove}})
		if err != nil || !errors.Is(errs[0], storage.ErrStorage) {
			t.Errorf("StopReplica, delete %v: %v, %v; want ErrStorage", remove, errs, err)
		}
	}
}
