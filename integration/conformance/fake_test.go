package conformance

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// zooKeeper is a session of the test's own, below the cluster's path.
type zooKeeper struct {
	*zk.Conn
	chroot string
}

// openZooKeeper connects to host:port/chroot until t ends.
func openZooKeeper(t testing.TB, address string, timeout time.Duration) *zooKeeper {
	t.Helper()
	host, chroot, _ := strings.Cut(address, "/")
	c, err := cluster.DialZooKeeper([]string{host}, timeout, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &zooKeeper{c, "/" + chroot}
}

// controllerEpoch reads the epoch of the controller.
func (z *zooKeeper) controllerEpoch(t testing.TB) (epoch int32) {
	t.Helper()
	data, _, err := z.Get(z.chroot + "/controller_epoch")
	if err == nil {
		err = json.Unmarshal(data, &epoch)
	}
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// fake is a broker that obeys the controller and does nothing else: a replica that never copies
// anything, a leader that nobody can reach.
type fake struct {
	id       int32
	zk       *zooKeeper
	listener net.Listener
	wg       sync.WaitGroup

	mu struct {
		sync.Mutex
		conns []net.Conn
	}
}

// startFake registers a fake broker, in a rack unless that is "", until it dies or t ends.
func startFake(t testing.TB, z *zooKeeper, id int32, rack string) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{id: id, zk: z, listener: l}
	f.wg.Go(f.accept)
	t.Cleanup(f.stop)
	port := l.Addr().(*net.TCPAddr).Port
	if rack != "" {
		rack = fmt.Sprintf(`"rack":%q,`, rack)
	}
	data := fmt.Sprintf(`{"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},`+
		`"endpoints":["PLAINTEXT://127.0.0.1:%d"],%s"jmx_port":-1,"port":%d,"host":"127.0.0.1","version":5,"timestamp":"%d"}`,
		port, rack, port, time.Now().UnixMilli())
	// As brokers do it: in a multi of two, which leaves version 1.
	_, err = z.Multi(
		&zk.CreateRequest{Path: f.path(), Acl: zk.WorldACL(zk.PermAll), Flags: zk.FlagEphemeral},
		&zk.SetDataRequest{Path: f.path(), Data: []byte(data), Version: 0},
	)
	if err != nil {
		t.Fatalf("register fake broker %d: %v", id, err)
	}
	return f
}

func (f *fake) path() string { return f.zk.chroot + "/brokers/ids/" + strconv.Itoa(int(f.id)) }

// die ends the fake broker and its registration.
func (f *fake) die(t testing.TB) {
	t.Helper()
	f.stop()
	if err := f.zk.Delete(f.path(), -1); err != nil {
		t.Fatal(err)
	}
}

func (f *fake) stop() {
	f.listener.Close()
	f.mu.Lock()
	for _, c := range f.mu.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.mu.conns = append(f.mu.conns, c)
		f.mu.Unlock()
		f.wg.Go(func() { f.serve(&conn{Conn: c}) })
	}
}

// serve answers what controllers send; any other request ends the connection.
func (f *fake) serve(c *conn) {
	defer c.Close()
	for {
		content, err := c.readFrame()
		if err != nil || len(content) < 10 {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(content)), int16(binary.BigEndian.Uint16(content[2:]))
		req := kmsg.RequestForKey(key)
		if req == nil || key < 4 || key > 6 {
			return
		}
		req.SetVersion(version)
		body := content[10+int(binary.BigEndian.Uint16(content[8:])):]
		if req.IsFlexible() {
			body = body[1:] // no tags
		}
		if key == 5 && version >= 4 {
			body = swapStopReplica(body, 1)
		}
		if err := req.ReadFrom(body); err != nil {
			return
		}
		answer := append([]byte(nil), content[4:8]...)
		if req.IsFlexible() {
			answer = append(answer, 0)
		}
		if err := c.send(frame(obey(req).AppendTo(answer))); err != nil {
			return
		}
	}
}

// swapStopReplica moves n of the five bytes after the controller id behind the others: kmsg writes
// and reads isKRaftController and controllerEpoch of StopReplica v4 in the wrong order.
func swapStopReplica(body []byte, n int) []byte {
	swapped := append([]byte(nil), body[:4]...)
	swapped = append(swapped, body[4+n:9]...)
	swapped = append(swapped, body[4:4+n]...)
	return append(swapped, body[9:]...)
}

// obey answers that all went well.
func obey(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind()
	switch r := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		answer := resp.(*kmsg.LeaderAndISRResponse)
		for _, t := range r.TopicStates {
			topic := kmsg.NewLeaderAndISRResponseTopic()
			topic.TopicID = t.TopicID
			for _, p := range t.PartitionStates {
				partition := kmsg.NewLeaderAndISRResponseTopicPartition()
				partition.Partition = p.Partition
				topic.Partitions = append(topic.Partitions, partition)
			}
			answer.Topics = append(answer.Topics, topic)
		}
	case *kmsg.StopReplicaRequest:
		answer := resp.(*kmsg.StopReplicaResponse)
		for _, t := range r.Topics {
			for _, p := range t.PartitionStates {
				partition := kmsg.NewStopReplicaResponsePartition()
				partition.Topic, partition.Partition = t.Topic, p.Partition
				answer.Partitions = append(answer.Partitions, partition)
			}
		}
	}
	return resp
}
