// Package netns makes networks of Linux network namespaces, whose links can be cut, for tests.
//
// Each Node of a Network is a namespace with one Ethernet link to a bridge, which stands in a namespace
// of its own: what runs on the nodes reaches each other and nothing else, and needs no free port.
// Nothing has a name in the file system: the kernel removes the namespaces, and all that is in them,
// with the process that made them, however it ends. Networks of several processes do not meet.
//
// The nodes' neighbour tables are filled in by hand, and that is how a link is cut, in one direction:
// the sender's table gets an Ethernet address that nobody has. Frames are lost without a word, as when a
// cable is pulled; neither end is told, and connections that stand go on once the link is healed.
//
// It takes root, and the program ip of iproute2.
package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// nodesMax is the number of nodes that the addresses suffice for.
const nodesMax = 200

// nowhere is an Ethernet address that no node has.
const nowhere = "02:00:00:00:ff:ff"

// A Network is a bridge and the nodes that are connected to it.
type Network struct {
	bridge *namespace

	mu struct {
		sync.Mutex
		nodes []*Node
		cut   map[link]bool
	}
}

// link is the way from one node to another.
type link struct{ from, to *Node }

// A Node is a place in a Network, where processes run and connections begin.
type Node struct {
	network   *Network
	name      string
	number    int
	namespace *namespace
}

// Possible returns nil if networks can be made here, and otherwise why not.
func Possible() error { return possible() }

var possible = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces take root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("network namespaces take the program ip (Debian: apt-get install iproute2)")
	}
	n, err := New()
	if err == nil {
		defer n.Close()
		_, err = n.Add("trial")
	}
	if err != nil {
		return fmt.Errorf("root, but no network namespaces: %w", err) // as in a container
	}
	return nil
})

// New returns a network without nodes. The caller ends it with Close.
func New() (*Network, error) {
	bridge, err := newNamespace()
	if err != nil {
		return nil, err
	}
	n := &Network{bridge: bridge}
	n.mu.cut = make(map[link]bool)
	// The bridge learns where its ports' addresses are, and needs no spanning tree.
	if err := bridge.ip("link add bridge type bridge stp_state 0 forward_delay 0", "link set bridge up"); err != nil {
		bridge.close()
		return nil, err
	}
	return n, nil
}

// Close removes the network. Processes that still run on its nodes keep their node, without a link.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range n.mu.nodes {
		node.namespace.close()
	}
	n.mu.nodes = nil
	n.bridge.close()
}

// Add connects one more node. The name is for messages alone.
func (n *Network) Add(name string) (*Node, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.mu.nodes) == nodesMax {
		return nil, fmt.Errorf("a network has %d nodes at most", nodesMax)
	}
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	node := &Node{network: n, name: name, number: len(n.mu.nodes) + 1, namespace: ns}
	if err := n.connectLocked(node); err != nil {
		ns.close()
		return nil, fmt.Errorf("connect node %s: %w", name, err)
	}
	n.mu.nodes = append(n.mu.nodes, node)
	return node, nil
}

// connectLocked lays the link of a node and makes it and the other nodes known to each other. It
// requires mu.
func (n *Network) connectLocked(node *Node) error {
	port := "port" + strconv.Itoa(node.number)
	if err := n.bridge.ip(
		fmt.Sprintf("link add %s type veth peer name eth0 address %s netns %s", port, node.ethernet(), node.namespace.path()),
		fmt.Sprintf("link set %s master bridge up", port),
	); err != nil {
		return err
	}
	commands := []string{"link set lo up", "link set eth0 up", fmt.Sprintf("addr add %s/24 dev eth0", node.IP())}
	for _, other := range n.mu.nodes {
		commands = append(commands, neighbour(other, other.ethernet()))
		if err := other.namespace.ip(neighbour(node, node.ethernet())); err != nil {
			return err
		}
	}
	return node.namespace.ip(commands...)
}

// neighbour returns the command that tells a node at which Ethernet address another is.
func neighbour(of *Node, ethernet string) string {
	return fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", of.IP(), ethernet)
}

// Cut loses whatever one node sends to another, until Heal. The other direction stays.
func (n *Network) Cut(from, to *Node) error { return n.set(from, to, true) }

// Heal undoes Cut.
func (n *Network) Heal(from, to *Node) error { return n.set(from, to, false) }

func (n *Network) set(from, to *Node, cut bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := link{from, to}
	if from == to || n.mu.cut[l] == cut {
		return nil
	}
	ethernet := to.ethernet()
	if cut {
		ethernet = nowhere
	}
	if err := from.namespace.ip(neighbour(to, ethernet)); err != nil {
		return fmt.Errorf("link from %s to %s: %w", from.name, to.name, err)
	}
	n.mu.cut[l] = cut
	return nil
}

// HealAll undoes every Cut.
func (n *Network) HealAll() error {
	var errs []error
	for _, l := range n.cutLinks() {
		errs = append(errs, n.Heal(l.from, l.to))
	}
	return errors.Join(errs...)
}

func (n *Network) cutLinks() []link {
	n.mu.Lock()
	defer n.mu.Unlock()
	var links []link
	for l, cut := range n.mu.cut {
		if cut {
			links = append(links, l)
		}
	}
	return links
}

// Name returns the name of the node.
func (d *Node) Name() string { return d.name }

// Network returns the network that the node belongs to.
func (d *Node) Network() *Network { return d.network }

// IP returns the address of the node, which is valid in its network alone.
func (d *Node) IP() string { return "10.0.0." + strconv.Itoa(d.number) }

func (d *Node) ethernet() string { return fmt.Sprintf("02:00:00:00:00:%02x", d.number) }

// Start starts a process on the node.
func (d *Node) Start(cmd *exec.Cmd) error { return d.namespace.do(cmd.Start) }

// DialContext connects from the node, as net.Dialer does. The address must be one of IP and port.
func (d *Node) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = d.namespace.do(func() error {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// ip runs ip commands in a namespace, all in one process.
func (s *namespace) ip(commands ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := s.do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(commands, "; "), err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}
