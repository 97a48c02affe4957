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
)

// registry reads what brokers have written into ZooKeeper.
type registry struct {
	conn   *zk.Conn
	chroot string // "" or a path that begins with a slash
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// openRegistry connects to host:port/chroot.
func openRegistry(address string) (*registry, error) {
	host, chroot, _ := strings.Cut(address, "/")
	conn, _, err := zk.Connect([]string{host}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		return nil, fmt.Errorf("connect to ZooKeeper at %s: %w", address, err)
	}
	if chroot != "" {
		chroot = "/" + chroot
	}
	return &registry{conn: conn, chroot: chroot}, nil
}

// Close ends the session.
func (r *registry) Close() { r.conn.Close() }

// epoch returns the broker epoch of a registered broker, 0 if it is not registered.
func (r *registry) epoch(id int32) int64 {
	exists, stat, err := r.conn.Exists(r.chroot + "/brokers/ids/" + strconv.Itoa(int(id)))
	if err != nil || !exists {
		return 0
	}
	return stat.Czxid
}

// controller returns the id of the controller, -1 if there is none.
func (r *registry) controller() int32 {
	var node struct {
		BrokerID *int32 `json:"brokerid"`
	}
	if err := r.read("/controller", &node); err != nil || node.BrokerID == nil {
		return -1
	}
	return *node.BrokerID
}

// partitionState is what stands in the state znode of a partition.
type partitionState struct {
	Leader      int32   `json:"leader"`
	LeaderEpoch int32   `json:"leader_epoch"`
	ISR         []int32 `json:"isr"`
}

func (r *registry) partition(topic string, index int32) (partitionState, error) {
	var state partitionState
	err := r.read(path.Join("/brokers/topics", topic, "partitions", strconv.Itoa(int(index)), "state"), &state)
	return state, err
}

var errNoNode = errors.New("no such znode")

func (r *registry) read(node string, v any) error {
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
