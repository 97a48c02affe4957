package cluster

import (
	"context"
	"net"
	"os/exec"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// place returns the host of a server and its ports: on a node these are the usual ones, on loopback
// free ones.
func place(node *netns.Node, usual ...int) (host string, ports []int, err error) {
	if node != nil {
		return node.IP(), usual, nil
	}
	for range usual {
		port, err := FreePort()
		if err != nil {
			return "", nil, err
		}
		ports = append(ports, port)
	}
	return "127.0.0.1", ports, nil
}

// startAt starts a process on a node; nil is loopback.
func startAt(node *netns.Node, cmd *exec.Cmd) error {
	if node == nil {
		return cmd.Start()
	}
	return node.Start(cmd)
}

// dialTo connects to a server that runs on a node, from that node itself: no cut link is in between.
func dialTo(node *netns.Node, address string, timeout time.Duration) (net.Conn, error) {
	if node == nil {
		return net.DialTimeout("tcp", address, timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return node.DialContext(ctx, "tcp", address)
}
