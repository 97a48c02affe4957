package cluster

import (
	"fmt"
	"net"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// handshakeTimeout is how long a ZooKeeper server may take to begin a session.
const handshakeTimeout = 3 * time.Second

type silent struct{}

func (silent) Printf(string, ...any) {}

// DialZooKeeper begins a session with one of the servers, host:port, from a node; nil is loopback. It does not wait for the
// connection.
//
// A server that is starting may take a connection and never answer on it. go-zookeeper waits for the answer for seven times as long as
// the session lasts; here it tries again before the session is lost.
func DialZooKeeper(servers []string, timeout time.Duration, node *netns.Node) (*zk.Conn, error) {
	conn, _, err := zk.Connect(servers, timeout, zk.WithLogger(silent{}),
		zk.WithDialer(func(_, address string, timeout time.Duration) (net.Conn, error) {
			c, err := dialTo(node, address, timeout)
			if err != nil {
				return nil, err
			}
			return &handshaking{Conn: c}, nil
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to ZooKeeper at %v: %w", servers, err)
	}
	return conn, nil
}

// handshaking is a connection whose first read, that of the answer to the handshake, has a short deadline.
type handshaking struct {
	net.Conn
	begun bool // no other goroutine reads before the handshake is over
}

func (h *handshaking) SetReadDeadline(at time.Time) error {
	if short := time.Now().Add(handshakeTimeout); !h.begun && short.Before(at) {
		at = short
	}
	h.begun = true
	return h.Conn.SetReadDeadline(at)
}
