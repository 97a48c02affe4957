package cluster

import (
	"fmt"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// StartEnsemble is Start on an ensemble of ZooKeeper servers of the cluster's own.
func StartEnsemble(t testing.TB, n, servers int, props Props) *Cluster {
	t.Helper()
	return startEnsemble(t, n, servers, nil, props)
}

// StartNetwork is StartEnsemble with each broker and each ZooKeeper server in a network namespace of its
// own: the links between any two of them can be cut. It skips the test where namespaces cannot be made.
func StartNetwork(t testing.TB, n, servers int, props Props) *Cluster {
	t.Helper()
	if err := netns.Possible(); err != nil {
		t.Skipf("the links of a cluster cannot be cut here: %v", err)
	}
	network, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	return startEnsemble(t, n, servers, network, props)
}

func startEnsemble(t testing.TB, n, servers int, network *netns.Network, props Props) *Cluster {
	t.Helper()
	var observer *netns.Node
	var nodes []*netns.Node // nil on loopback
	if network != nil {
		var err error
		if observer, err = network.Add("observer"); err != nil {
			t.Fatal(err)
		}
		for i := range servers {
			node, err := network.Add(fmt.Sprintf("zookeeper %d", i+1))
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, node)
		}
	}
	ensemble, err := NewEnsemble(t.TempDir(), servers, nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ensemble.Kill()
		for _, z := range ensemble.servers {
			if t.Failed() {
				t.Logf("log of ZooKeeper %s:\n%s", z.Addr(), z.Log())
			}
		}
	})
	c := newCluster(t, ensemble.Addr(), ensemble.Servers(), props)
	c.network, c.observer = network, observer
	c.start(n)
	return c
}

// ZooKeepers returns the servers of the cluster's ZooKeeper, which other tests may use too unless StartEnsemble or StartNetwork
// has made them.
func (c *Cluster) ZooKeepers() []*ZooKeeper { return c.servers }

// Cut loses what two nodes send each other.
func (c *Cluster) Cut(a, b *netns.Node) {
	c.t.Helper()
	c.CutOneWay(a, b)
	c.CutOneWay(b, a)
}

// CutOneWay loses what one node sends to another.
func (c *Cluster) CutOneWay(from, to *netns.Node) {
	c.t.Helper()
	if err := c.network.Cut(from, to); err != nil {
		c.t.Fatal(err)
	}
}

// CutZooKeeper cuts a broker off from all ZooKeeper servers, and from nothing else.
func (c *Cluster) CutZooKeeper(id int32) {
	c.t.Helper()
	for _, z := range c.ZooKeepers() {
		c.Cut(c.Broker(id).Node(), z.Node())
	}
}

// Heal heals all links.
func (c *Cluster) Heal() {
	c.t.Helper()
	if err := c.network.HealAll(); err != nil {
		c.t.Fatal(err)
	}
}
