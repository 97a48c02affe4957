package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// A Registry reads what brokers have written into ZooKeeper.
type Registry struct {
	conn     *zk.Conn
	chroot   string // "" or a path that begins with a slash
	observer *netns.Node
}

// OpenRegistry connects, from an observer's node or on loopback, to host:port/chroot; there may be
// several hosts, separated by commas. It does not wait for the connection.
func OpenRegistry(address string, observer *netns.Node) (*Registry, error) {
	hosts, chroot, _ := strings.Cut(address, "/")
	conn, err := DialZooKeeper(strings.Split(hosts, ","), 10*time.Second, observer)
	if err != nil {
		return nil, err
	}
	if chroot != "" {
		chroot = "/" + chroot
	}
	return &Registry{conn: conn, chroot: chroot, observer: observer}, nil
}

// Close ends the session.
func (r *Registry) Close() { r.conn.Close() }

// Epoch returns the broker epoch of a registered broker, 0 if it is not registered or ZooKeeper does not answer.
func (r *Registry) Epoch(id int32) int64 {
	epoch, _ := r.epoch(id)
	return epoch
}

// epoch is Epoch with what ZooKeeper has against an answer.
func (r *Registry) epoch(id int32) (int64, error) {
	exists, stat, err := r.conn.Exists(r.chroot + "/brokers/ids/" + strconv.Itoa(int(id)))
	if err != nil || !exists {
		return 0, err
	}
	return stat.Czxid, nil
}

// answered asks until ZooKeeper, which tests restart, has answered, but not for longer than awaitTimeout.
func answered(ask func() error) error {
	for deadline := time.Now().Add(awaitTimeout); ; time.Sleep(20 * time.Millisecond) {
		if err := ask(); !lost(err) || time.Now().After(deadline) {
			return err
		}
	}
}

// lost reports whether err says that the session was between two connections, or that there is a new one now: nothing was answered,
// and who asks again will be.
func lost(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) || errors.Is(err, zk.ErrSessionExpired) || errors.Is(err, zk.ErrSessionMoved)
}

// Controller returns the id of the controller, -1 if there is none.
func (r *Registry) Controller() int32 {
	var node struct {
		BrokerID *int32 `json:"brokerid"`
	}
	if err := r.read("/controller", &node); err != nil || node.BrokerID == nil {
		return -1
	}
	return *node.BrokerID
}

// DeleteController removes the controller's znode, so that the brokers elect one.
func (r *Registry) DeleteController() error { return r.conn.Delete(r.chroot+"/controller", -1) }

// PartitionState is what stands in the state znode of a partition.
type PartitionState struct {
	Leader      int32   `json:"leader"`
	LeaderEpoch int32   `json:"leader_epoch"`
	ISR         []int32 `json:"isr"`
}

// Partition returns the state of a partition.
func (r *Registry) Partition(topic string, index int32) (PartitionState, error) {
	var state PartitionState
	err := r.read(path.Join("/brokers/topics", topic, "partitions", strconv.Itoa(int(index)), "state"), &state)
	return state, err
}

// Assignment is where the replicas of a topic's partitions are, and are to be.
type Assignment struct {
	Partitions map[string][]int32 `json:"partitions"` // by the partition's number
	Adding     map[string][]int32 `json:"adding_replicas"`
	Removing   map[string][]int32 `json:"removing_replicas"`
}

// Assignment returns the assignment of a topic.
func (r *Registry) Assignment(topic string) (Assignment, error) {
	var a Assignment
	err := r.read(path.Join("/brokers/topics", topic), &a)
	return a, err
}

// LogDirEvents returns how many notes of failed log directories there have been, and how many of them the controller has
// not taken yet.
func (r *Registry) LogDirEvents() (ever, left int, err error) {
	names, stat, err := r.conn.Children(r.chroot + "/log_dir_event_notification")
	if err != nil {
		return 0, 0, err
	}
	return (int(stat.Cversion) + len(names)) / 2, len(names), nil // each was created, and deleted if it was taken
}

// Topics returns the names of all topics.
func (r *Registry) Topics() ([]string, error) {
	names, _, err := r.conn.Children(r.chroot + "/brokers/topics")
	return names, err
}

var errNoNode = errors.New("no such znode")

func (r *Registry) read(node string, v any) error {
	data, _, err := r.conn.Get(r.chroot + node)
	if errors.Is(err, zk.ErrNoNode) {
		return fmt.Errorf("%s: %w", node, errNoNode)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", node, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", node, err)
	}
	return nil
}
