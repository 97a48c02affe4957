package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"
)

// ExpireSession ends the ZooKeeper session of a registered broker, through one of the servers, as if it had
// timed out: its ephemeral znodes go, and the broker finds out when it connects again.
func (r *Registry) ExpireSession(id int32, servers ...*ZooKeeper) error {
	node := r.chroot + "/brokers/ids/" + strconv.Itoa(int(id))
	exists, before, err := r.conn.Exists(node)
	if err == nil && !exists {
		err = errNoNode
	}
	for _, server := range servers {
		if err != nil {
			break
		}
		// A server that is asked while the broker's own one still speaks for the session may break off.
		broken := closeThrough(server, before.EphemeralOwner)
		exists, now, err := r.conn.Exists(node)
		if err == nil && (!exists || now.EphemeralOwner != before.EphemeralOwner) {
			return nil
		}
		if server == servers[len(servers)-1] {
			return fmt.Errorf("expire the session of broker %d: %w", id, errors.Join(broken, err, errors.New("it is there still")))
		}
	}
	return fmt.Errorf("session of broker %d: %w", id, err)
}

// EndSession ends the ZooKeeper session of a broker that was killed or paused, for which ZooKeeper, and whoever goes by it alone,
// would wait until it has timed out.
func (c *Cluster) EndSession(id int32) {
	c.t.Helper()
	c.ExpireSession(id)
	c.Await(fmt.Sprintf("end of the registration of broker %d", id), func() bool { return c.Epoch(id) == 0 })
}

// ExpireSession ends the ZooKeeper session of a broker that lives, and finds out when it connects again.
func (c *Cluster) ExpireSession(id int32) {
	c.t.Helper()
	var last error
	defer func() {
		if c.t.Failed() {
			c.t.Log(last)
		}
	}()
	c.Await(fmt.Sprintf("end of the session of broker %d", id), func() bool {
		last = c.registry.ExpireSession(id, c.servers...) // the server may be busy with the broker
		return last == nil || errors.Is(last, errNoNode)
	})
}

// DeleteController removes the controller's znode, if there is one, so that the brokers elect one.
func (c *Cluster) DeleteController() {
	c.t.Helper()
	if err := c.registry.DeleteController(); err != nil && !errors.Is(err, zk.ErrNoNode) {
		c.t.Fatal(err)
	}
}

func closeThrough(server *ZooKeeper, session int64) error {
	conn, err := dialTo(server.node, server.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	return closeSession(conn, session)
}

// closeSession takes a session over, as its client does when it connects to another server, and closes
// it.
func closeSession(conn net.Conn, session int64) error {
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	// ConnectRequest: protocol version, last zxid seen, time-out in ms, session, password.
	request := binary.BigEndian.AppendUint32(nil, 0)
	request = binary.BigEndian.AppendUint64(request, 0)
	request = binary.BigEndian.AppendUint32(request, 6000)
	request = binary.BigEndian.AppendUint64(request, uint64(session))
	password := sessionPassword(session)
	request = binary.BigEndian.AppendUint32(request, uint32(len(password)))
	request = append(request, password...)
	answer, err := exchange(conn, request)
	if err != nil {
		return err
	}
	if len(answer) < 16 || int64(binary.BigEndian.Uint64(answer[8:])) != session {
		return errors.New("ZooKeeper does not know the session")
	}
	// closeSession: a request of nothing but xid and type.
	request = binary.BigEndian.AppendUint32(nil, 1)
	request = binary.BigEndian.AppendUint32(request, uint32(0xffffffff-10)) // -11
	_, err = exchange(conn, request)
	return err
}

// exchange sends a frame and returns the next one that comes.
func exchange(conn net.Conn, request []byte) ([]byte, error) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(request)))
	if _, err := conn.Write(append(frame, request...)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 1<<20 {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	answer := make([]byte, n)
	_, err := io.ReadFull(conn, answer)
	return answer, err
}

// sessionPassword returns the password of a session: 16 bytes of a java.util.Random whose seed is made of
// the session's id and a constant of ZooKeeper's (SessionTrackerImpl and ZooKeeperServer.superSecret).
func sessionPassword(session int64) []byte {
	const multiplier, increment, mask = 0x5DEECE66D, 0xB, 1<<48 - 1
	seed := (uint64(session^0xB3415C00) ^ multiplier) & mask
	var password []byte
	for len(password) < 16 {
		seed = (seed*multiplier + increment) & mask
		password = binary.LittleEndian.AppendUint32(password, uint32(seed>>16))
	}
	return password
}
