package admin

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a cluster of one broker: a Store in memory and, unless idle, a controller that acts at once.
type world struct {
	*Handlers
	cache   *metadata.Cache
	stopped context.CancelFunc
	idle    bool // the controller does nothing

	mu      sync.Mutex
	topics  map[string]Assignment
	cfg     atomic.Pointer[config.Config]
	stored  map[Resource]map[string]string // of brokers
	changed []Resource                     // by ChangeConfig
	loggers testLoggers
	configs map[string]map[string]string
	marked  []string
	calls   int           // of TopicNames
	err     error         // of every call
	rival   func()        // not nil: changes a topic between the next Assignment and SetPartitions
	block   chan struct{} // not nil: TopicNames waits for its end
	entered chan struct{} // and tells here that it does
}

func newWorld(t testing.TB, overrides ...string) *world {
	t.Helper()
	cfg, _, err := config.Load("", append([]string{"broker.id=1"}, overrides...))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{cache: &metadata.Cache{}, topics: map[string]Assignment{}, configs: map[string]map[string]string{}, entered: make(chan struct{}, 1),
		stored: map[Resource]map[string]string{}, loggers: testLoggers{"root": "INFO", "kafka.server.KafkaServer": "INFO"}}
	w.cfg.Store(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w.stopped = cancel
	log := logrus.New()
	log.SetOutput(io.Discard)
	w.Handlers = New(Options{
		BrokerID: 1, Config: func() *config.Config { return w.cfg.Load() }, Cluster: w.cache, Store: w, Context: ctx, Logger: log,
		Loggers:      w.loggers,
		IsController: func() bool { return true },
	})
	w.update()
	return w
}

// update tells the broker of topics, or with leader -2 of their end.
func (w *world) update(topics ...kmsg.UpdateMetadataRequestTopicState) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID, req.TopicStates = 8, 1, topics
	for id := range int32(2) {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = id + 1
		b.Endpoints = []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{{ListenerName: fixture.Listener, Host: "h", Port: 9092}}
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	w.cache.Apply(req)
}

func topicState(name string, id topic.ID, n int, leader int32) kmsg.UpdateMetadataRequestTopicState {
	s := kmsg.UpdateMetadataRequestTopicState{Topic: name, TopicID: id}
	for i := range int32(n) {
		s.PartitionStates = append(s.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{
			Partition: i, Leader: leader, ISR: []int32{1}, Replicas: []int32{1},
		})
	}
	return s
}

// add makes a topic of n partitions on broker 1, as if it had always been there.
func (w *world) add(name string, n int) topic.ID {
	a := Assignment{ID: topic.NewID(), Replicas: map[int32][]int32{}}
	for i := range int32(n) {
		a.Replicas[i] = []int32{1}
	}
	w.topics[name] = a
	w.update(topicState(name, a.ID, n, 1))
	return a.ID
}

func (w *world) TopicNames(ctx context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if w.block != nil {
		w.entered <- struct{}{}
		select {
		case <-w.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return slices.Collect(maps.Keys(w.topics)), w.err
}

func (w *world) MarkedForDeletion(context.Context) ([]string, error) { return w.marked, w.err }

func (w *world) CreateTopics(_ context.Context, topics []NewTopic) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := make([]error, len(topics))
	for i, t := range topics {
		if _, there := w.topics[t.Name]; there {
			errs[i] = ErrTopicExists
			continue
		}
		a := Assignment{ID: t.ID, Replicas: map[int32][]int32{}}
		for p, replicas := range t.Replicas {
			a.Replicas[int32(p)] = replicas
		}
		w.topics[t.Name], w.configs[t.Name] = a, t.Config
		if !w.idle {
			w.update(topicState(t.Name, t.ID, len(t.Replicas), 1))
		}
	}
	return errs
}

func (w *world) DeleteTopics(_ context.Context, names []string) []error {
	errs := make([]error, len(names))
	for i, name := range names {
		if errs[i] = w.err; w.err != nil {
			continue
		}
		w.marked = append(w.marked, name)
		if a, there := w.topics[name]; there && !w.idle {
			delete(w.topics, name)
			w.update(topicState(name, a.ID, len(a.Replicas), -2))
		}
	}
	return errs
}

func (w *world) Assignment(_ context.Context, name string) (Assignment, error) {
	a, there := w.topics[name]
	if !there {
		return Assignment{}, ErrNoTopic
	}
	a.Replicas = maps.Clone(a.Replicas)
	return a, w.err
}

func (w *world) SetPartitions(_ context.Context, name string, a Assignment) error {
	if w.rival != nil {
		w.rival()
		w.rival = nil
		return ErrChanged
	}
	w.topics[name] = a
	if !w.idle {
		w.update(topicState(name, a.ID, len(a.Replicas), 1))
	}
	return w.err
}

func (w *world) TopicConfigs(_ context.Context, names []string) ([]map[string]string, error) {
	configs := make([]map[string]string, len(names))
	for i, name := range names {
		configs[i] = w.configs[name]
	}
	return configs, w.err
}

func (w *world) Config(_ context.Context, r Resource) (map[string]string, error) {
	set := maps.Clone(w.stored[r])
	if r.IsTopic() {
		set = maps.Clone(w.configs[r.Name])
	}
	if set == nil {
		set = map[string]string{}
	}
	return set, w.err
}

func (w *world) ChangeConfig(_ context.Context, r Resource, set map[string]string) error {
	if w.err != nil {
		return w.err
	}
	w.changed = append(w.changed, r)
	if r.IsTopic() {
		w.configs[r.Name] = set
	} else {
		w.stored[r] = set
	}
	return nil
}

// testLoggers are levels by name.
type testLoggers map[string]string

func (l testLoggers) Levels() map[string]string   { return l }
func (l testLoggers) Exists(name string) bool     { return l[name] != "" }
func (l testLoggers) SetLevel(name, level string) { l[name] = level }
func (l testLoggers) UnsetLevel(name string)      { l[name] = l["root"] }

var errStore = errors.New("no connection")

// create asks for a topic and returns the answer to it.
func (w *world) create(t testing.TB, version int16, topics ...kmsg.CreateTopicsRequestTopic) []kmsg.CreateTopicsResponseTopic {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = version, 10_000, topics
	if w.idle {
		req.TimeoutMillis = 1
	}
	resp := kmsg.NewPtrCreateTopicsResponse()
	fixture.Do(t, request.HandlerFunc(w.CreateTopicsHandler()), req, resp)
	return resp.Topics
}

// CreateTopicsHandler is the handler; the Store's method of the same name hides it.
func (w *world) CreateTopicsHandler() func(*request.Request) { return w.Handlers.CreateTopics }

func asked(name string, change func(*kmsg.CreateTopicsRequestTopic)) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, 3, 1
	if change != nil {
		change(&t)
	}
	return t
}

func text(s *string) string {
	if s == nil {
		return "<null>"
	}
	return *s
}
