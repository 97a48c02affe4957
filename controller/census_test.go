package controller

import (
	"maps"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// watchers returns how many connections of those who watch b have been answered.
func (b *fakeBroker) watchers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.count["ApiVersions"]
}

func registration(id, port int32) *zkutil.Broker {
	return &zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{
		{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: port, SecurityProtocol: "PLAINTEXT"}}}
}

func live(s *metadata.Snapshot) []int32 { return slices.Sorted(maps.Keys(s.Brokers)) }

// TestWhoDiesWithTheControllerIsNotWaitedFor: broker 4 dies, and nobody acts, since the controller is dead, too. Who replaces it has
// seen both, and gives both up while their registrations stand; not so broker 5, which refuses connections, but was never reached.
func TestWhoDiesWithTheControllerIsNotWaitedFor(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	start := func(id int32) *candidate {
		return startCandidateWith(t, zk.Addr(), Options{BrokerID: id, WatchProcesses: true})
	}
	one := start(1)
	eventually(t, "1 is the controller", one.IsActive)
	two, three, four := start(2), start(3), start(4)
	starting := connectTo(t, zk.Addr(), nil)
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := starting.RegisterBroker(t.Context(), registration(5, int32(port))); err != nil {
		t.Fatal(err)
	}
	one.create(t, "a", []int32{4, 2})
	two.await(t, "a is led by 4, and all live", func(s *metadata.Snapshot) bool { return led("a", 4, 0)(s) && len(s.Brokers) == 5 })
	eventually(t, "all watch 1 and 4", func() bool { return one.watchers() >= 3 && four.watchers() >= 3 })

	one.Controller.Close()
	four.Controller.Close()
	four.Peer.Close()
	for _, c := range []*candidate{two, three} {
		eventually(t, "4 is seen to be gone", func() bool { return c.vigil.Gone(4, four.zk.SessionID()) })
	}
	if !led("a", 4, 0)(two.cache.Load()) || two.IsActive() || three.IsActive() {
		t.Error("somebody has acted who is not the controller")
	}
	one.Peer.Close()
	two.await(t, "2 leads a, and 1 and 4 are given up", func(s *metadata.Snapshot) bool {
		return led("a", 2, 1)(s) && slices.Equal(live(s), []int32{2, 3, 5})
	})
	for _, id := range []int32{1, 4} {
		if there, _, err := two.zk.Exists(t.Context(), zkutil.BrokerPath(id)); err != nil || !there {
			t.Errorf("the registration of %d is gone (%v), which was to be left alone", id, err)
		}
	}
}

// TestBrokersAreWatchedWhereTheyAre has a broker move, and come back in another session: who is not the controller watches it there.
func TestBrokersAreWatchedWhereTheyAre(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	one := startCandidateWith(t, zk.Addr(), Options{BrokerID: 1, WatchProcesses: true})
	eventually(t, "1 is the controller", one.IsActive)
	startCandidateWith(t, zk.Addr(), Options{BrokerID: 2, WatchProcesses: true})
	var places []*fakeBroker
	for range 3 {
		places = append(places, startFakeBroker(t, 3))
	}
	watched := func(n int) func() bool { return func() bool { return places[n].watchers() >= 2 } }
	first, second := connectTo(t, zk.Addr(), nil), connectTo(t, zk.Addr(), nil)
	if _, err := first.RegisterBroker(t.Context(), registration(3, places[0].Port())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both watch 3 where it is first", watched(0))
	if _, err := first.Set(t.Context(), zkutil.BrokerPath(3), registration(3, places[1].Port()).Encode(), zkutil.AnyVersion); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both watch 3 where it has moved to", watched(1))
	first.Close()
	if _, err := second.RegisterBroker(t.Context(), registration(3, places[2].Port())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both watch 3 in its next life", watched(2))
}
