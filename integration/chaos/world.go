package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// chroot is the brokers' path in ZooKeeper.
const chroot = "/chaos"

// servers is the size of the ensemble.
const servers = 3

// clients is the number of nodes that producers and consumers run on.
const clients = 2

// world is the cluster under test.
type world struct {
	dir      string
	patience patience
	say      func(format string, args ...any)
	begins   func(broker int32) // is told when a broker is started again
	network  *netns.Network
	observer *netns.Node
	clients  []*netns.Node
	ensemble *cluster.Ensemble
	registry *cluster.Registry
	operator *operator
	brokers  []*keeper
	groups   []*group
	disks    []*ownDisk
}

// newWorld starts everything. The caller ends it with close, also after an error.
func newWorld(dir string, o options, props cluster.Props, diskBytes int64, say func(string, ...any), begins func(int32)) (*world, error) {
	w := &world{dir: dir, patience: patienceWith(o.kafka > 0), say: say, begins: begins}
	var err error
	if w.network, err = netns.New(); err != nil {
		return w, err
	}
	if w.disks, err = newDisks(o.brokers, diskBytes, say); err != nil {
		return w, err
	}
	if w.observer, err = w.network.Add("observer"); err != nil {
		return w, err
	}
	if w.clients, err = w.nodes("client", clients); err != nil {
		return w, err
	}
	nodes, err := w.nodes("zookeeper", servers)
	if err != nil {
		return w, err
	}
	if w.ensemble, err = cluster.NewEnsemble(filepath.Join(dir, "zookeeper"), servers, nodes); err != nil {
		return w, err
	}
	if w.registry, err = cluster.OpenRegistry(w.ensemble.Addr()+chroot, w.observer); err != nil {
		return w, err
	}
	if err := w.startBrokers(o.brokers, o.kafka, props); err != nil {
		return w, err
	}
	w.operator, err = newOperator(w)
	return w, err
}

func (w *world) nodes(what string, n int) ([]*netns.Node, error) {
	var nodes []*netns.Node
	for i := range n {
		node, err := w.network.Add(what + " " + strconv.Itoa(i+1))
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

func (w *world) startBrokers(n, kafka int, props cluster.Props) error {
	nodes, err := w.nodes("broker", n)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, n)
	w.brokers = make([]*keeper, n)
	for i := range n {
		o := cluster.BrokerOptions{ID: int32(i + 1), Dir: filepath.Join(w.dir, fmt.Sprintf("broker-%d", i+1)),
			ZooKeeper: w.ensemble.Addr() + chroot, Node: nodes[i], Observer: w.observer, Kafka: i < kafka, KafkaOptions: jvm, Props: cluster.Props{
				"zookeeper.session.timeout.ms":    strconv.FormatInt(w.patience.session.Milliseconds(), 10),
				"zookeeper.connection.timeout.ms": "10000",
				"replica.lag.time.max.ms":         "3000",
				"replica.socket.timeout.ms":       "3000",
				"num.replica.fetchers":            "2",
				"auto.create.topics.enable":       "false",
				"min.insync.replicas":             "2",
				"offsets.topic.num.partitions":    strconv.Itoa(offsetsPartitions),
				"offsets.topic.segment.bytes":     "32768",
				"log.cleaner.backoff.ms":          "500",
				// Within this time a directory is missed that nobody writes to.
				"replica.high.watermark.checkpoint.interval.ms": "1000",
				"log.cleaner.min.cleanable.ratio":               "0.05",
				"log.cleaner.dedupe.buffer.size":                "2097152",
				"group.min.session.timeout.ms":                  "1000",
				"group.initial.rebalance.delay.ms":              "300",
				"controller.socket.timeout.ms":                  "3000",
				"broker.rack":                                   rackOf(i + 1),
				"replica.selector.class":                        "org.apache.kafka.common.replica.RackAwareReplicaSelector",
				"log.dirs":                                      strings.Join(w.logDirs(i+1), ","),
			}}
		maps.Copy(o.Props, props)
		wg.Go(func() {
			b, err := cluster.NewBroker(o)
			errs[i] = err
			if b != nil {
				w.brokers[i] = newKeeper(b, w.say, w.begins)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// rackOf returns the rack of a broker: each has one of its own.
func rackOf(id int) string { return fmt.Sprintf("rack-%d", id) }

// addrs returns the brokers' addresses.
func (w *world) addrs() []string {
	var addrs []string
	for _, k := range w.brokers {
		addrs = append(addrs, k.broker.Addr())
	}
	return addrs
}

// createTopics creates all topics and waits until their replicas are in sync.
func (w *world) createTopics(ctx context.Context) error {
	for topic, partitions := range topics {
		if err := w.createTopic(ctx, topic, partitions); err != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	err := w.await(ctx, "the topic of committed offsets", func() string {
		if found := w.operator.admin.FindGroupCoordinators(ctx, "any")["any"]; found.Err != nil {
			return found.Err.Error()
		}
		return ""
	})
	if err != nil {
		return err
	}
	return w.await(ctx, "in-sync replicas", w.outOfSync)
}

// createTopic waits until the controller has noticed enough brokers for the replicas of a topic.
func (w *world) createTopic(ctx context.Context, topic string, partitions int32) (err error) {
	awaited := w.await(ctx, "enough brokers", func() string {
		_, err = w.operator.admin.CreateTopic(ctx, partitions, replicationFactor, topicConfigs(topic, w.patience.recovery), topic)
		if errors.Is(err, kerr.InvalidReplicationFactor) {
			return err.Error()
		}
		return ""
	})
	return cmp.Or(err, awaited)
}

// outOfSync says which partitions lack replicas or a leader, or are being reassigned; nothing is all right.
func (w *world) outOfSync() string {
	var bad []string
	for topic, partitions := range allTopics() {
		a, err := w.registry.Assignment(topic)
		if err != nil {
			return err.Error()
		}
		for p := range partitions {
			replicas := a.Partitions[strconv.Itoa(int(p))]
			state, err := w.registry.Partition(topic, p)
			if err != nil || state.Leader < 0 || len(state.ISR) != len(replicas) || len(replicas) != replicationFactor || len(a.Adding)+len(a.Removing) > 0 {
				bad = append(bad, fmt.Sprintf("%s-%d: replicas %v (adding %v, removing %v), leader %d, epoch %d, ISR %v, %v",
					topic, p, replicas, a.Adding, a.Removing, state.Leader, state.LeaderEpoch, state.ISR, err))
			}
		}
	}
	return strings.Join(bad, "; ")
}

// await polls until what is missing is nothing.
func (w *world) await(ctx context.Context, what string, missing func() string) error {
	for {
		lack := missing()
		if lack == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", what, context.Cause(ctx), lack)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// close ends everything.
func (w *world) close() {
	var wg sync.WaitGroup
	for _, k := range w.brokers {
		if k != nil {
			wg.Go(k.close)
		}
	}
	wg.Wait()
	if w.operator != nil {
		w.operator.client.Close()
	}
	if w.registry != nil {
		w.registry.Close()
	}
	if w.ensemble != nil {
		w.ensemble.Kill()
	}
	for _, d := range w.disks {
		d.Close()
	}
	if w.network != nil {
		w.network.Close()
	}
}
