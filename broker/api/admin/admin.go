// Package admin serves the APIs that create, change and describe topics and configurations.
//
// Topics are made by writing znodes; the controller, whichever broker it is, sees them and does the
// rest, and the handler waits until this broker's metadata shows the outcome. Handlers wait for
// ZooKeeper, so their routes block.
package admin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Store is what the handlers need of ZooKeeper.
type Store interface {
	// TopicNames lists all topics.
	TopicNames(ctx context.Context) ([]string, error)
	// MarkedForDeletion lists the topics whose deletion is pending.
	MarkedForDeletion(ctx context.Context) ([]string, error)
	// CreateTopics writes the configuration, then the assignment of each topic, and returns an
	// error per topic: ErrTopicExists if it is there already.
	CreateTopics(ctx context.Context, topics []NewTopic) []error
	// DeleteTopics marks topics for deletion, with an error per topic. Marking twice is no error.
	DeleteTopics(ctx context.Context, names []string) []error
	// Assignment reads a topic's partitions: ErrNoTopic, *InvalidPath.
	Assignment(ctx context.Context, name string) (Assignment, error)
	// SetPartitions replaces a topic's partitions; ErrChanged if they are not those that were read.
	SetPartitions(ctx context.Context, name string, a Assignment) error
	// TopicConfigs reads the own properties of each topic; a missing node is an empty map.
	TopicConfigs(ctx context.Context, names []string) ([]map[string]string, error)
	// Config reads the properties of a topic, a broker or, without a name, all brokers, as they are stored; the
	// map is the caller's. The error may be an *InvalidPath.
	Config(ctx context.Context, r Resource) (map[string]string, error)
	// ChangeConfig replaces them and tells all brokers.
	ChangeConfig(ctx context.Context, r Resource, config map[string]string) error
}

// InvalidPath reports that ZooKeeper has no path for a name.
type InvalidPath struct{ Text string }

// Error returns what ZooKeeper's client says in Kafka.
func (e *InvalidPath) Error() string { return e.Text }

// Resource is what has a configuration. Its type is one of the config APIs'; the empty name of a broker stands for
// all of them.
type Resource struct {
	Type int8
	Name string
}

// IsTopic reports whether the resource is a topic.
func (r Resource) IsTopic() bool { return r.Type == topicResource }

// String prints the resource as Kafka's messages do.
func (r Resource) String() string {
	return "ConfigResource(type=" + kmsg.ConfigResourceType(r.Type).String() + ", name='" + r.Name + "')"
}

// NewTopic is a topic to be created. Replicas holds the replicas of partition i at index i.
type NewTopic struct {
	Name     string
	ID       topic.ID
	Replicas [][]int32
	Config   map[string]string
}

// Assignment says which brokers hold each partition of a topic.
type Assignment struct {
	ID          topic.ID
	Replicas    map[int32][]int32
	Reassigning bool  // some partition has replicas to add or to remove
	Version     int32 // of the znode that was read; it must be unchanged when partitions are added
}

// Errors of a Store.
var (
	ErrTopicExists = kerr.TopicAlreadyExists
	ErrNoTopic     = kerr.UnknownTopicOrPartition
	ErrChanged     = errors.New("the topic has been changed meanwhile")
	// ZooKeeper takes no more than so much in one znode; where Kafka tries for ever, these are answered.
	ErrTooManyPartitions = status.New(kerr.InvalidPartitions, "The list of the topic's replicas is larger than ZooKeeper takes (jute.maxbuffer).")
	ErrTooMuchConfig     = status.New(kerr.InvalidConfig, "The topic's configuration is larger than ZooKeeper takes (jute.maxbuffer).")
)

// NoController is the error for a configuration that is not written because there is no controller; kind and
// name are its place in ZooKeeper.
func NoController(kind, name string) error {
	return status.New(kerr.StaleControllerEpoch, "Cannot set entity configs for "+kind+" "+name+" when there is no controller.")
}

// Options configure Handlers. All fields are required.
type Options struct {
	BrokerID int32
	Config   func() *config.Config // of the moment
	Cluster  *metadata.Cache
	Store    Store
	Loggers  Loggers
	// IsController reports whether this broker is the active controller: others refuse to create,
	// delete and grow topics.
	IsController func() bool
	// Context ends when the broker stops; what waits for ZooKeeper or the controller then gives up.
	Context context.Context
	Logger  logrus.FieldLogger
}

// Handlers serve the APIs of the package.
type Handlers struct{ Options }

// New returns Handlers.
func New(opts Options) *Handlers { return &Handlers{opts} }

// await waits until done holds for all of 0..n-1 in this broker's metadata, at most timeoutMs and not
// longer than the broker runs, and returns those for which it does not. A client that does not
// want to wait is told of all of them.
func (h *Handlers) await(timeoutMs int32, n int, done func(s *metadata.Snapshot, i int) bool) (left []int) {
	for i := range n {
		left = append(left, i)
	}
	if timeoutMs <= 0 || n == 0 {
		return left
	}
	ctx, cancel := context.WithTimeout(h.Context, time.Duration(timeoutMs)*time.Millisecond)
	defer cancel()
	// Once done, an operation stays done: what comes after it cannot undo it.
	if h.Cluster.WaitFor(ctx, func(s *metadata.Snapshot) bool {
		left = slices.DeleteFunc(left, func(i int) bool { return done(s, i) })
		return len(left) == 0
	}) == nil {
		return nil
	}
	return left
}

// storeTimeout bounds a request's own reads and writes of ZooKeeper, which its timeout does not cover.
const storeTimeout = 30 * time.Second

func (h *Handlers) storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.Context, storeTimeout)
}

// failed maps err for a response, and logs it if it is the broker's fault.
func (h *Handlers) failed(api, subject string, err error) (code int16, message *string) {
	if err != nil && status.Unexpected(err) {
		h.Logger.WithField("resource", subject).WithError(err).Error(api + " failed")
	}
	return status.Code(err), status.Message(err)
}
