package cluster

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// An Ensemble is several ZooKeeper servers that replicate each other's data.
type Ensemble struct {
	servers []*ZooKeeper
}

// NewEnsemble starts n servers with their data below dir, and waits until all of them answer. Each runs
// on the node of its index, or all of them on loopback if nodes is nil. The caller ends it with Kill.
func NewEnsemble(dir string, n int, nodes []*netns.Node) (*Ensemble, error) {
	e := &Ensemble{}
	var members strings.Builder
	// A member has 10 s to load the leader's data and is dropped if it is silent for 3 s.
	members.WriteString("initLimit=100\nsyncLimit=30\n")
	for i := range n {
		var node *netns.Node
		if nodes != nil {
			node = nodes[i]
		}
		host, ports, err := place(node, 2181, 2888, 3888)
		if err != nil {
			return nil, err
		}
		z := &ZooKeeper{dir: filepath.Join(dir, fmt.Sprintf("zookeeper-%d", i+1)), host: host, port: ports[0], node: node, id: i + 1}
		fmt.Fprintf(&members, "server.%d=%s:%d:%d\n", z.id, host, ports[1], ports[2])
		e.servers = append(e.servers, z)
	}
	for _, z := range e.servers {
		z.members = members.String()
		if err := errors.Join(z.writeConfig(), z.Launch()); err != nil {
			e.Kill()
			return nil, err
		}
	}
	for _, z := range e.servers {
		if err := z.AwaitAnswer(); err != nil {
			e.Kill()
			return nil, err
		}
	}
	return e, nil
}

// Servers returns the servers.
func (e *Ensemble) Servers() []*ZooKeeper { return e.servers }

// Addr returns the addresses of all servers, separated by commas.
func (e *Ensemble) Addr() string {
	var addrs []string
	for _, z := range e.servers {
		addrs = append(addrs, z.Addr())
	}
	return strings.Join(addrs, ",")
}

// Kill ends all servers with SIGKILL.
func (e *Ensemble) Kill() {
	for _, z := range e.servers {
		z.Kill()
	}
}
