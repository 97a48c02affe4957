package admin

import (
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/topic"
)

// AutoCreator creates the topics that clients name in Metadata requests. Any broker does that, by
// writing the znodes itself (DefaultAutoTopicCreationManager); the client asks again until the
// controller has made the partitions.
type AutoCreator struct {
	handlers *Handlers

	mu       sync.Mutex
	inFlight map[string]bool
}

// NewAutoCreator returns an AutoCreator that works like h's CreateTopics.
func NewAutoCreator(h *Handlers) *AutoCreator {
	return &AutoCreator{handlers: h, inFlight: map[string]bool{}}
}

// Create creates the topic name if nobody is at it and returns the code for the client:
// LEADER_NOT_AVAILABLE while it is being created, UNKNOWN_TOPIC_OR_PARTITION if another request is
// creating it, or why it cannot be. It waits for ZooKeeper's answer, not for the controller.
func (a *AutoCreator) Create(name string) int16 {
	a.mu.Lock()
	if a.inFlight[name] {
		a.mu.Unlock()
		return kerr.UnknownTopicOrPartition.Code
	}
	a.inFlight[name] = true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.inFlight, name)
	}()
	switch code := status.Code(a.create(name)); code {
	case 0, kerr.TopicAlreadyExists.Code, kerr.RequestTimedOut.Code:
		return kerr.LeaderNotAvailable.Code
	default:
		return code
	}
}

func (a *AutoCreator) create(name string) error {
	h := a.handlers
	ctx, cancel := h.storeContext()
	defer cancel()
	e, err := h.existing(ctx)
	if err != nil {
		return err
	}
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, byDefault, byDefault
	internalTopic(&t, h.Config)
	made, err := h.prepare(e, &t)
	if err != nil {
		h.Logger.WithField("topic", name).WithError(err).Info("auto topic creation failed")
		return err
	}
	if err := h.Store.CreateTopics(ctx, []NewTopic{made})[0]; err != nil {
		return err
	}
	h.Logger.WithField("topic", name).WithField("partitions", len(made.Replicas)).Info("created topic automatically")
	return nil
}

// internalTopic gives the brokers' own topics their partition counts, replication factors and
// properties (GroupCoordinator and TransactionStateManager).
func internalTopic(t *kmsg.CreateTopicsRequestTopic, c *config.Config) {
	set := func(prefix string, configs ...string) {
		t.NumPartitions = int32(c.Int(prefix + ".num.partitions"))
		t.ReplicationFactor = int16(c.Int(prefix + ".replication.factor"))
		configs = append(configs, "cleanup.policy", "compact", "segment.bytes", strconv.Itoa(c.Int(prefix+".segment.bytes")))
		for i := 0; i < len(configs); i += 2 {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
		}
	}
	switch t.Topic {
	case topic.ConsumerOffsets:
		set("offsets.topic", "compression.type", "producer")
	case topic.TransactionState:
		set("transaction.state.log", "compression.type", "uncompressed",
			"unclean.leader.election.enable", "false",
			"min.insync.replicas", strconv.Itoa(c.Int("transaction.state.log.min.isr")))
	}
}
