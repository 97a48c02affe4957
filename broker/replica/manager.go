package replica

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/purgatory"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Options configure a Manager. The fields up to Logger are required.
type Options struct {
	BrokerID int32
	Storage  *storage.Manager
	// TopicConfig returns the effective properties of a topic, at the creation of its logs.
	TopicConfig func(topic string) (storage.LogConfig, error)
	// BrokerEpoch returns the epoch of this broker's registration (the czxid of its znode).
	BrokerEpoch func() int64
	// Known reports whether a topic partition is in the cluster's metadata.
	Known  func(p topic.Partition) bool
	Logger logrus.FieldLogger

	// StateChanges is told of each replica that begins to lead or to follow: Logger is.
	StateChanges logrus.FieldLogger
	// Alive reports whether a broker is alive, as far as the cluster's metadata tells: all are.
	Alive func(broker int32) bool
	// Followers copies the partitions that others lead: nobody does.
	Followers Followers
	// Mover copies replicas into other log directories: nobody does.
	Mover Mover
	// Propagator makes changes of ISRs known: a leader changes none.
	Propagator Propagator
	// LagTimeMax is how long a follower may not have caught up before it leaves the ISR
	// (replica.lag.time.max.ms): 30 s.
	LagTimeMax time.Duration
}

// Manager owns the replicas of this broker.
type Manager struct {
	opts    Options
	started time.Time // of the clock that now reads

	stop chan struct{} // closed by Close
	wg   sync.WaitGroup

	// Produces, Fetches and Deletes hold the requests that wait for a partition: for its high
	// watermark, for bytes, for its low watermark. Whoever changes a partition calls Appended once it
	// holds no lock.
	Produces, Fetches, Deletes *purgatory.Purgatory[topic.Partition]

	applyMu         sync.Mutex // one request of a controller, or change of configuration, at a time
	controllerEpoch int32      // largest seen; guarded by applyMu

	mu struct {
		sync.RWMutex
		partitions map[topic.Partition]*Partition
		// absent are replicas that the controller has here and whose logs may be on a directory that was offline
		// from the start: offline as those are whose directory has failed since (HostedPartition.Offline).
		absent map[topic.Partition]error
	}
}

// New returns a Manager without replicas: the controller's first LeaderAndIsr brings them.
func New(opts Options) (*Manager, error) {
	if opts.Storage == nil || opts.TopicConfig == nil || opts.BrokerEpoch == nil || opts.Known == nil || opts.Logger == nil {
		return nil, errors.New("replica: Options is incomplete")
	}
	opts.LagTimeMax = cmp.Or(opts.LagTimeMax, 30*time.Second)
	if opts.StateChanges == nil {
		opts.StateChanges = opts.Logger
	}
	if opts.Alive == nil {
		opts.Alive = func(int32) bool { return true }
	}
	m := &Manager{
		opts:     opts,
		started:  time.Now(),
		stop:     make(chan struct{}),
		Produces: purgatory.New[topic.Partition](),
		Fetches:  purgatory.New[topic.Partition](),
		Deletes:  purgatory.New[topic.Partition](),
	}
	m.mu.partitions = make(map[topic.Partition]*Partition)
	m.mu.absent = make(map[topic.Partition]error)
	if opts.Propagator != nil {
		m.wg.Go(m.watchLag)
	}
	return m, nil
}

// now reads a clock that does not go back.
func (m *Manager) now() time.Duration { return time.Since(m.started) }

// Close ends what waits, and the search for lagging followers. Logs stay open: their owner closes
// them, as it does Followers and the Propagator. It must be called once.
func (m *Manager) Close() {
	close(m.stop)
	m.wg.Wait()
	m.Produces.Close()
	m.Fetches.Close()
	m.Deletes.Close()
}

// Partition returns this broker's replica of p. Errors: ErrNotLeader if the cluster has p but this
// broker does not, else ErrUnknownPartition; storage.ErrStorage if the replica's log directory has failed.
func (m *Manager) Partition(p topic.Partition) (*Partition, error) {
	found, absent := m.find(p)
	switch {
	case found != nil:
		if err := found.logErr(); err != nil {
			return nil, err
		}
		return found, nil
	case absent != nil:
		return nil, absent
	case m.opts.Known(p):
		return nil, ErrNotLeader
	}
	return nil, ErrUnknownPartition
}

// hosted returns this broker's replica of p, which may be offline; nil if there is none.
func (m *Manager) hosted(p topic.Partition) *Partition {
	found, _ := m.find(p)
	return found
}

// find returns this broker's replica of p or, if its log may be on a directory that is offline, why there is none.
func (m *Manager) find(p topic.Partition) (found *Partition, absent error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.partitions[p], m.mu.absent[p]
}

// Appended wakes who waits for records of p, for its high or its low watermark.
func (m *Manager) Appended(p topic.Partition) {
	m.Fetches.Check(p)
	m.Produces.Check(p)
	m.Deletes.Check(p)
}
