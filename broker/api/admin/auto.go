package admin

import (
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// Create creates the topics of names that nobody is at, and returns a code for the client for each:
// LEADER_NOT_AVAILABLE while the topic is being created, UNKNOWN_TOPIC_OR_PARTITION if another request is
// creating it, or why it cannot be. It waits for ZooKeeper's answer, not for the controller.
func (a *AutoCreator) Create(names []string) []int16 {
	codes := make([]int16, len(names))
	mine := a.begin(names)
	defer a.end(mine)
	errs := a.create(mine)
	for i, name := range names {
		at := slices.Index(mine, name)
		if at < 0 {
			codes[i] = kerr.UnknownTopicOrPartition.Code
			continue
		}
		codes[i], _ = a.handlers.failed("automatic topic creation", name, errs[at])
		switch codes[i] {
		case 0, kerr.TopicAlreadyExists.Code, kerr.RequestTimedOut.Code:
			codes[i] = kerr.LeaderNotAvailable.Code
		}
	}
	return codes
}

// begin returns those of names that are not in flight, and lets them be.
func (a *AutoCreator) begin(names []string) (mine []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		if !a.inFlight[name] {
			a.inFlight[name] = true
			mine = append(mine, name)
		}
	}
	return mine
}

func (a *AutoCreator) end(mine []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range mine {
		delete(a.inFlight, name)
	}
}

// create creates topics, with an error for each.
func (a *AutoCreator) create(names []string) []error {
	errs := make([]error, len(names))
	if len(names) == 0 {
		return errs
	}
	h := a.handlers
	ctx, cancel := h.storeContext()
	defer cancel()
	e, err := h.existing(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	var made []NewTopic
	var at []int
	for i, name := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, byDefault, byDefault
		internalTopic(&t, h.Config())
		var ready NewTopic
		if ready, errs[i] = h.prepare(e, &t); errs[i] != nil {
			h.Logger.WithField("topic", name).WithError(errs[i]).Info("auto topic creation failed")
			continue
		}
		e.add(name)
		made, at = append(made, ready), append(at, i)
	}
	if len(made) == 0 {
		return errs
	}
	for i, err := range h.Store.CreateTopics(ctx, made) {
		if errs[at[i]] = err; err == nil {
			h.Logger.WithField("topic", made[i].Name).WithField("partitions", len(made[i].Replicas)).Info("created topic automatically")
		}
	}
	return errs
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
