package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// An operator works on the cluster while it is being harmed. What he asks for may fail.
type operator struct {
	world  *world
	client *kgo.Client
	admin  *kadm.Client

	mu      sync.Mutex
	created int
	deleted map[string]bool // topics that must go
}

// operatorTimeout is what he waits for an answer.
const operatorTimeout = 4 * time.Second

func newOperator(w *world) (*operator, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.addrs()...), cluster.Dialer(w.observer), kgo.RetryTimeout(operatorTimeout),
		kgo.RequestTimeoutOverhead(operatorTimeout))
	if err != nil {
		return nil, err
	}
	return &operator{world: w, client: client, admin: kadm.NewClient(client), deleted: make(map[string]bool)}, nil
}

// reassign gives a partition other replicas, or the same ones in another order.
func (o *operator) reassign(f fault, brokers int) string {
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	topic, partition := partitionOf(f.pick)
	var replicas []int32
	for i := range brokers {
		replicas = append(replicas, int32((i+f.other)%brokers)+1)
	}
	if f.other/brokers%2 == 1 {
		slices.Reverse(replicas)
	}
	replicas = replicas[:replicationFactor]
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign(topic, partition, replicas)
	resp, err := o.admin.AlterPartitionAssignments(ctx, req)
	if err == nil {
		err = resp.Error()
	}
	return fmt.Sprintf("%s-%d to %v%s", topic, partition, replicas, outcome(err))
}

// partitionOf returns the partition that a fault's number stands for.
func partitionOf(pick int) (topic string, partition int32) {
	topic = []string{"orders", "events", "single", offsetsTopic, compactedTopic}[pick%5]
	return topic, int32(pick/5) % allTopics()[topic]
}

// elect makes the preferred replicas lead.
func (o *operator) elect() string {
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	_, err := o.admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, nil)
	return "preferred" + outcome(err)
}

// move has a broker copy a replica into another of its log directories.
func (o *operator) move(f fault, broker int32, dir string) string {
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	name, partition := partitionOf(f.pick)
	t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
	t.Topic, t.Partitions = name, []int32{partition}
	d := kmsg.NewAlterReplicaLogDirsRequestDir()
	d.Dir, d.Topics = dir, []kmsg.AlterReplicaLogDirsRequestDirTopic{t}
	req := kmsg.NewPtrAlterReplicaLogDirsRequest()
	req.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{d}
	answer, err := o.client.Broker(int(broker)).Request(ctx, req)
	if resp, ok := answer.(*kmsg.AlterReplicaLogDirsResponse); ok && len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1 {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	return fmt.Sprintf("%s-%d of broker %d to %s%s", name, partition, broker, dir, outcome(err))
}

// names is the number of topics that come and go: they are soon created again under the same name, while a
// broker may be away that still has what was there before.
const names = 3

// create creates a topic, and fills it with records that tell of this life of it.
func (o *operator) create(f fault) (name, tag, how string) {
	o.mu.Lock()
	o.created++
	name, tag = fmt.Sprintf("extra-%d", o.created%names), fmt.Sprintf("life %d", o.created)
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	if _, err := o.admin.CreateTopic(ctx, int32(f.pick%5)+1, replicationFactor, nil, name); err != nil {
		return name, "", outcome(err)
	}
	// A client of its own: one that knew the topic before holds on to its id.
	client, err := kgo.NewClient(kgo.SeedBrokers(o.world.addrs()...), cluster.Dialer(o.world.observer),
		kgo.DefaultProduceTopic(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return name, "", outcome(err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, kgo.StringRecord(tag), kgo.StringRecord(tag)).FirstErr(); err != nil {
		return name, tag, outcome(err)
	}
	return name, tag, ""
}

// inspect reads what a topic holds, if that works just now: all of it must be of one life.
func (o *operator) inspect(name, tag string) error {
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(o.world.addrs()...), cluster.Dialer(o.world.observer),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return err
	}
	defer client.Close()
	var wrong error
	client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		if string(r.Value) != tag {
			wrong = fmt.Errorf("topic %s holds %q at %d, which is not of %s", name, r.Value, r.Offset, tag)
		}
	})
	return wrong
}

// delete looks at a topic and deletes it; left tries again if that fails.
func (o *operator) delete(name, tag string) error {
	var wrong error
	if tag != "" {
		wrong = o.inspect(name, tag)
	}
	o.mu.Lock()
	o.deleted[name] = true
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	o.admin.DeleteTopic(ctx, name)
	return wrong
}

// left says which deleted topics are still there, and deletes them again; nothing is all right.
func (o *operator) left() string {
	names, err := o.world.registry.Topics()
	if err != nil {
		return err.Error()
	}
	for _, name := range names {
		o.mu.Lock()
		deleted := o.deleted[name]
		o.mu.Unlock()
		if !deleted {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
		_, err := o.admin.DeleteTopic(ctx, name)
		cancel()
		if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Sprintf("topic %s: %v", name, err)
		}
		return "topic " + name
	}
	return ""
}
