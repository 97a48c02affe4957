package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller/assign"
)

// existing is what new topics are checked against, read once per request.
type existing struct {
	snapshot *metadata.Snapshot
	names    map[string]bool
	unified  map[string][]string // names by what they collide on
	marked   map[string]bool
	// room is how many partitions the request may still place. Kafka has no bound: a request of some KB could ask for
	// billions of partitions, which are gigabytes before ZooKeeper refuses them.
	room int
}

func (h *Handlers) existing(ctx context.Context) (*existing, error) {
	names, err := h.Store.TopicNames(ctx)
	if err != nil {
		return nil, err
	}
	marked, err := h.Store.MarkedForDeletion(ctx)
	if err != nil {
		return nil, err
	}
	e := &existing{
		snapshot: h.Cluster.Load(),
		names:    make(map[string]bool, len(names)),
		unified:  make(map[string][]string, len(names)),
		marked:   make(map[string]bool, len(marked)),
		room:     assign.MaxPartitions,
	}
	for _, n := range names {
		e.add(n)
	}
	for _, n := range marked {
		e.marked[n] = true
	}
	return e, nil
}

func (e *existing) add(name string) {
	e.names[name] = true
	u := topic.Unify(name)
	e.unified[u] = append(e.unified[u], name)
}

// exists refuses to create a topic that is there.
func exists(name string) error {
	return status.New(kerr.TopicAlreadyExists, fmt.Sprintf("Topic '%s' already exists.", name))
}

// check refuses names that cannot be used (AdminZkClient.validateTopicCreate).
func (e *existing) check(name string) error {
	if err := topic.ValidateName(name); err != nil {
		return status.New(kerr.InvalidTopicException, err.Error())
	}
	if e.marked[name] {
		return status.New(kerr.TopicAlreadyExists, fmt.Sprintf("Topic '%s' is marked for deletion.", name))
	}
	if e.names[name] {
		return exists(name)
	}
	if others := e.unified[topic.Unify(name)]; len(others) > 0 {
		return status.New(kerr.InvalidTopicException,
			fmt.Sprintf("Topic '%s' collides with existing topics: %s", name, strings.Join(others, ", ")))
	}
	return nil
}

// prepare checks one topic of a CreateTopics and decides its partitions (ZkAdminManager.createTopics).
func (h *Handlers) prepare(e *existing, t *kmsg.CreateTopicsRequestTopic) (NewTopic, error) {
	made := NewTopic{Name: t.Topic}
	if e.snapshot.Topic(t.Topic) != nil {
		return made, exists(t.Topic)
	}
	overrides, err := overridesOf(t.Configs)
	if err != nil {
		return made, err
	}
	chosen := len(t.ReplicaAssignment) > 0
	if !chosen {
		made.Replicas, err = h.assign(e, t.NumPartitions, t.ReplicationFactor)
	} else if t.NumPartitions != byDefault || t.ReplicationFactor != byDefault {
		err = status.New(kerr.InvalidRequest, "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.")
	}
	if err != nil {
		return made, err
	}
	if err := e.check(t.Topic); err != nil {
		return made, err
	}
	if chosen {
		if made.Replicas, err = inOrder(t.ReplicaAssignment); err != nil {
			return made, err
		}
	}
	made.Config, err = h.Config().ValidateTopic(overrides)
	if err != nil {
		return made, invalidConfig(err)
	}
	made.ID = topic.NewID()
	return made, nil
}

func overridesOf(configs []kmsg.CreateTopicsRequestTopicConfig) ([]config.Override, error) {
	overrides := make([]config.Override, len(configs))
	var nulls []string
	for i, c := range configs {
		overrides[i] = config.Override{Name: c.Name, Value: c.Value}
		if c.Value == nil {
			nulls = append(nulls, c.Name)
		}
	}
	if len(nulls) > 0 {
		return nil, status.New(kerr.InvalidConfig, "Null value not supported for topic configs: "+strings.Join(nulls, ","))
	}
	return overrides, nil
}

func invalidConfig(err error) error {
	if e, ok := errors.AsType[*config.InvalidTopic](err); ok {
		return status.New(kerr.InvalidConfig, e.Text)
	}
	return err
}

// Values of a CreateTopics that ask for the broker's defaults (KIP-464).
const byDefault = -1

// assign places the partitions of a new topic by the usual algorithm.
func (h *Handlers) assign(e *existing, partitions int32, factor int16) ([][]int32, error) {
	if partitions == byDefault {
		partitions = int32(h.Config().Int("num.partitions"))
	}
	if factor == byDefault {
		factor = int16(h.Config().Int("default.replication.factor"))
	}
	if int(partitions) > e.room && partitions <= assign.MaxPartitions {
		return nil, status.New(kerr.InvalidPartitions, fmt.Sprintf("The topics of one request may have %d partitions in all.", assign.MaxPartitions))
	}
	replicas, err := assign.Assign(brokers(e.snapshot), assign.Options{Partitions: int(partitions), ReplicationFactor: int(factor)})
	e.room -= len(replicas)
	return replicas, refused(err)
}

func brokers(s *metadata.Snapshot) []assign.Broker {
	list := make([]assign.Broker, 0, len(s.Brokers))
	for id, b := range s.Brokers {
		list = append(list, assign.Broker{ID: id, Rack: b.Rack})
	}
	return list
}

func refused(err error) error {
	e, ok := errors.AsType[*assign.Error](err)
	if !ok {
		return err
	}
	switch {
	case errors.Is(e, assign.ErrPartitions):
		return status.New(kerr.InvalidPartitions, e.Message)
	case errors.Is(e, assign.ErrReplicationFactor):
		return status.New(kerr.InvalidReplicationFactor, e.Message)
	}
	return status.New(kerr.UnknownServerError, e.Message)
}

// inOrder checks an assignment that a client chose and returns it by partition. Brokers that do
// not live are not refused, as by Kafka: the partition is created once one of them does.
func inOrder(assignment []kmsg.CreateTopicsRequestTopicReplicaAssignment) ([][]int32, error) {
	chosen := make(map[int32][]int32, len(assignment))
	for _, a := range assignment {
		chosen[a.Partition] = a.Replicas
	}
	ordered := make([][]int32, len(chosen))
	for _, replicas := range chosen {
		if len(replicas) != len(chosen[assignment[0].Partition]) {
			return nil, invalidAssignment("All partitions should have the same number of replicas")
		}
	}
	for _, replicas := range chosen {
		if repeats(replicas) {
			return nil, invalidAssignment("Duplicate replica assignment found: %s", scalaMap(chosen))
		}
	}
	for p, replicas := range chosen {
		if p < 0 || int(p) >= len(chosen) {
			return nil, invalidAssignment("partitions should be a consecutive 0-based integer sequence")
		}
		ordered[p] = replicas
	}
	return ordered, nil
}

func invalidAssignment(format string, args ...any) error {
	return status.New(kerr.InvalidReplicaAssignment, fmt.Sprintf(format, args...))
}

func repeats(ids []int32) bool {
	sorted := slices.Sorted(slices.Values(ids))
	return len(slices.Compact(sorted)) < len(ids)
}

// scalaMap prints an assignment as Kafka's messages do.
func scalaMap(m map[int32][]int32) string {
	entries := make([]string, 0, len(m))
	for _, p := range slices.Sorted(maps.Keys(m)) {
		entries = append(entries, fmt.Sprintf("%d -> ArrayBuffer(%s)", p, join(m[p])))
	}
	return "HashMap(" + strings.Join(entries, ", ") + ")"
}

func join(ids []int32) string {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = fmt.Sprint(id)
	}
	return strings.Join(text, ", ")
}
