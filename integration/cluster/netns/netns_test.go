package netns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func newNetwork(t *testing.T, names ...string) (*Network, []*Node) {
	t.Helper()
	if err := Possible(); err != nil {
		t.Skip(err)
	}
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	var nodes []*Node
	for _, name := range names {
		node, err := n.Add(name)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	return n, nodes
}

// listen accepts connections on a node and sends back what they bring, line by line.
func listen(t *testing.T, d *Node) string {
	t.Helper()
	var l net.Listener
	if err := d.namespace.do(func() (err error) {
		l, err = net.Listen("tcp", d.IP()+":9092")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					conn.Write([]byte(line))
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, from *Node, address string, timeout time.Duration) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// lines numbers what echo has sent.
var lines atomic.Int64

// echo reports whether a line comes back within timeout. Those that were lost before may come first.
func echo(t *testing.T, conn net.Conn, timeout time.Duration) bool {
	t.Helper()
	conn.SetDeadline(time.Now().Add(timeout))
	line := fmt.Sprintf("line %d\n", lines.Add(1))
	if _, err := conn.Write([]byte(line)); err != nil {
		return false
	}
	for r := bufio.NewReader(conn); ; {
		got, err := r.ReadString('\n')
		if err != nil || got == line {
			return err == nil
		}
	}
}

// The wait for what must come, and for what must not.
const (
	patience = time.Minute
	silence  = 300 * time.Millisecond
)

// TestLinksAreCutInOneDirection: what is lost is what was to be lost, and connections survive it.
func TestLinksAreCutInOneDirection(t *testing.T) {
	n, nodes := newNetwork(t, "a", "b", "c")
	a, b, c := nodes[0], nodes[1], nodes[2]
	address := listen(t, b)
	stands, err := dial(t, a, address, patience)
	if err != nil || !echo(t, stands, patience) {
		t.Fatalf("no connection from a to b: %v", err)
	}
	for _, l := range []link{{a, b}, {b, a}} {
		if err := n.Cut(l.from, l.to); err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, a, address, silence); err == nil {
			t.Errorf("connected although %s to %s is cut", l.from.Name(), l.to.Name())
		} else if !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
			t.Errorf("the cut is not silent: %v", err)
		}
		if echo(t, stands, silence) {
			t.Errorf("an echo although %s to %s is cut", l.from.Name(), l.to.Name())
		}
		if other, err := dial(t, c, address, patience); err != nil || !echo(t, other, patience) {
			t.Errorf("another link is cut too: %v", err)
		}
		if err := n.HealAll(); err != nil {
			t.Fatal(err)
		}
		if !echo(t, stands, patience) {
			t.Error("the connection that stood does not go on")
		}
	}
}

// TestNodesAreAlone: a node reaches the other nodes of its network and nothing else.
func TestNodesAreAlone(t *testing.T) {
	_, one := newNetwork(t, "a", "b")
	_, other := newNetwork(t, "a", "b")
	listen(t, one[1])
	if _, err := dial(t, other[0], one[1].IP()+":9092", patience); err == nil {
		t.Error("two networks meet")
	}
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	if _, err := dial(t, one[0], outside.Addr().String(), patience); err == nil {
		t.Error("a node reaches the host")
	}
	if _, err := net.DialTimeout("tcp", outside.Addr().String(), patience); err != nil {
		t.Errorf("the test has not come back from the namespaces: %v", err)
	}
}

// TestProcessesRunOnNodes: what is started on a node sees its link only.
func TestProcessesRunOnNodes(t *testing.T) {
	_, nodes := newNetwork(t, "a")
	var ours, theirs []byte
	ours, _ = os.ReadFile("/proc/net/dev")
	file := filepath.Join(t.TempDir(), "dev")
	cmd := exec.Command("cp", "/proc/self/net/dev", file)
	if err := nodes[0].Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(file)
	if err != nil || len(theirs) == 0 || string(theirs) == string(ours) {
		t.Errorf("the process saw %q (%v), we %q", theirs, err, ours)
	}
}
