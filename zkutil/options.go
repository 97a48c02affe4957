package zkutil

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/sirupsen/logrus"
)

// maxRequestBytes bounds one request and its answer, as jute.maxbuffer does in Kafka's client.
const maxRequestBytes = 4 << 20

// Options configure a Client; a zero field takes the default named beside it.
type Options struct {
	// Connect is zookeeper.connect: "host:port,host:port/chroot". A missing port is 2181. Required.
	Connect string
	// SessionTimeout is zookeeper.session.timeout.ms: 18 s. The server bounds it by its own settings.
	SessionTimeout time.Duration
	// ConnectionTimeout is zookeeper.connection.timeout.ms: SessionTimeout. It bounds Connect only.
	ConnectionTimeout time.Duration
	// MaxInFlight is how many requests may await their answers: 256. Kafka's
	// zookeeper.max.in.flight.requests is 10; hundreds are fine.
	MaxInFlight int
	// KeepChroot has Connect fail if the chroot does not exist, rather than create it.
	KeepChroot bool
	// SetACL is zookeeper.set.acl: created nodes may be changed by the authenticated creator only.
	SetACL bool
	// Dial connects to one server, such as by TLS: plain TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger gets a line when ZooKeeper is waited for, goes, comes back, or ends a session: no log.
	Logger logrus.FieldLogger
}

// withDefaults returns o with its defaults filled in, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if o.Connect == "" {
		return o, errors.New("zkutil: Options needs Connect")
	}
	if o.SessionTimeout < 0 || o.ConnectionTimeout < 0 || o.MaxInFlight < 0 {
		return o, errors.New("zkutil: negative option")
	}
	o.SessionTimeout = cmp.Or(o.SessionTimeout, 18*time.Second)
	o.ConnectionTimeout = cmp.Or(o.ConnectionTimeout, o.SessionTimeout)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 256)
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Logger == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Logger = silent
	}
	return o, nil
}

// ParseConnect splits a zookeeper.connect string into the servers, each with its port, and the
// chroot, which is "" or begins with a slash and does not end in one.
func ParseConnect(connect string) (servers []string, chroot string, err error) {
	hosts := connect
	if i := strings.IndexByte(connect, '/'); i >= 0 {
		hosts, chroot = connect[:i], strings.TrimRight(connect[i:], "/")
	}
	if strings.Contains(chroot, "//") {
		return nil, "", fmt.Errorf("zookeeper.connect %q: chroot has an empty component", connect)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		host = strings.TrimSpace(host)
		if host == "" {
			continue
		}
		servers = append(servers, withPort(host))
	}
	if len(servers) == 0 {
		return nil, "", fmt.Errorf("zookeeper.connect %q names no server", connect)
	}
	return servers, chroot, nil
}

// withPort adds ZooKeeper's port to a host that has none. A bare IPv6 address is put in brackets.
func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return net.JoinHostPort(host, fmt.Sprint(zk.DefaultPort))
}
