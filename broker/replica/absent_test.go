package replica_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"

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

// TestReplicaThatComesBackIsNotMadeTwice: a replica that may lie on an offline directory is assigned away, and assigned here again as a
// new one. Made in the directory that is left, it would be in both when the broker starts with both: it would refuse to start.
func TestReplicaThatComesBackIsNotMadeTwice(t *testing.T) {
	log, _ := test.NewNullLogger()
	dirs := []string{t.TempDir(), t.TempDir()}
	store, err := storage.Open(storage.Options{
		Dirs: dirs, Unusable: map[string]error{dirs[0]: errors.New("unreadable")}, Logger: log, InitialTaskDelay: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	e := newEnv(t, func(o *replica.Options) { o.Storage = store })
	for epoch, isNew := range []bool{false, true} {
		s := state(self, int32(epoch+1), int32(epoch), []int32{1}, []int32{1})
		s.IsNew = isNew
		if err := e.apply(s); !errors.Is(err, storage.ErrStorage) {
			t.Errorf("LeaderAndIsr, new %v: %v, want ErrStorage", isNew, err)
		}
	}
	if store.Log(orders) != nil {
		t.Error("the log was made in the other directory")
	}
}
