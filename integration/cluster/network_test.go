package cluster

import (
	"slices"
	"testing"
)

// TestNetwork holds the harness to what it promises of links, ensembles and sessions.
func TestNetwork(t *testing.T) {
	c := StartNetwork(t, 2, 3, Props{"zookeeper.session.timeout.ms": "2000"})
	c.CreateTopic("orders", 1, 2, nil)
	acked := c.Produce("orders", 10)
	c.RequireReadable("orders", acked, awaitTimeout)

	// A follower that cannot ask the leader leaves the ISR, and comes back.
	leader := c.Leader("orders", 0)
	follower := 3 - leader
	c.Broker(1).Set("replica.lag.time.max.ms", "1000")
	c.Broker(2).Set("replica.lag.time.max.ms", "1000")
	c.Restart(follower)
	c.Restart(leader)
	c.Await("both in sync", func() bool { return len(c.ISR("orders", 0)) == 2 })
	leader = c.Leader("orders", 0)
	follower = 3 - leader
	c.CutOneWay(c.Broker(follower).Node(), c.Broker(leader).Node())
	c.Produce("orders", 1) // which the follower lacks
	c.Await("the follower out of the ISR", func() bool { return slices.Equal(c.ISR("orders", 0), []int32{leader}) })
	c.Heal()
	c.Await("the follower in the ISR", func() bool { return len(c.ISR("orders", 0)) == 2 })

	// A broker without ZooKeeper loses its registration, and gets a new one.
	c.CutZooKeeper(follower)
	c.Await("the end of the registration", func() bool { return c.Epoch(follower) == 0 })
	c.Heal()
	c.Await("a new registration", func() bool { return c.Epoch(follower) != 0 })

	// So does one whose session is ended.
	epoch := c.Epoch(follower)
	c.ExpireSession(follower)
	c.Await("another registration", func() bool { e := c.Epoch(follower); return e != 0 && e != epoch })

	// One that is killed is gone at once if that is asked for.
	c.Kill(follower)
	c.EndSession(follower)
	c.Restart(follower)

	// ZooKeeper goes on without one server.
	for _, z := range c.ZooKeepers() {
		z.Kill()
		c.Restart(1)
		z.Start(t)
	}
}

// TestEnsembleOnLoopback: where there are no namespaces, there is an ensemble still.
func TestEnsembleOnLoopback(t *testing.T) {
	e, err := NewEnsemble(t.TempDir(), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Kill()
	r, err := OpenRegistry(e.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, z := range e.Servers() {
		z.Kill()
		Await(t, awaitTimeout, "answer of two servers", func() bool {
			_, _, err := r.conn.Get("/")
			return err == nil
		})
		if err := z.Launch(); err != nil {
			t.Fatal(err)
		}
		if err := z.AwaitAnswer(); err != nil {
			t.Fatal(err)
		}
	}
}
