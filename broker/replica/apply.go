package replica

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// PartitionState is what LeaderAndIsr says of one partition.
type PartitionState struct {
	topic.Partition
	TopicID         topic.ID // zero: none
	ControllerEpoch int32
	Leader          int32
	LeaderEpoch     int32
	PartitionEpoch  int32
	ISR, Replicas   []int32
	IsNew           bool // the log may be created although a log directory is offline
}

// Command identifies who sends an order, and for which registration of this broker it is meant.
type Command struct {
	ControllerID    int32
	ControllerEpoch int32
	BrokerEpoch     int64 // anyBrokerEpoch (-1): none in particular
}

// anyBrokerEpoch stands for whatever registration the broker has (AbstractControlRequest.UNKNOWN_BROKER_EPOCH).
const anyBrokerEpoch = -1

// Obey does what c orders, unless admit refuses it. Orders follow one another, so that what an earlier
// controller wanted cannot come after what a later one did.
func (m *Manager) Obey(c Command, do func()) error {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	if err := m.admit(c); err != nil {
		m.logger(c).WithError(err).Warn("ignoring a request of the controller")
		return err
	}
	do()
	return nil
}

// logger names the controller that c comes from in what is logged of it.
func (m *Manager) logger(c Command) logrus.FieldLogger {
	return m.opts.Logger.WithField("controller", c.ControllerID).WithField("epoch", c.ControllerEpoch)
}

// admit checks that c comes from the newest controller known and means this registration of the
// broker: ErrStaleBrokerEpoch, ErrStaleControllerEpoch. A broker epoch from the future is legal,
// because the controller may learn of a registration before the broker does. It requires applyMu.
func (m *Manager) admit(c Command) error {
	if c.BrokerEpoch != anyBrokerEpoch && c.BrokerEpoch < m.opts.BrokerEpoch() {
		return ErrStaleBrokerEpoch
	}
	if c.ControllerEpoch < m.controllerEpoch {
		return ErrStaleControllerEpoch
	}
	m.controllerEpoch = c.ControllerEpoch
	return nil
}

// Apply makes this broker's replicas what the controller decided (ReplicaManager.becomeLeaderOrFollower)
// and returns an error per partition, in states' order. Logs that do not exist are created, several
// at a time. The error of the whole is Obey's.
func (m *Manager) Apply(c Command, states []PartitionState) (errs []error, err error) {
	var done []transition
	err = m.Obey(c, func() { errs, done = m.applyAll(c, states) })
	m.logTransitions(states, done)
	return errs, err
}

// applyAll returns the errors and the transitions in the order of states.
func (m *Manager) applyAll(c Command, states []PartitionState) ([]error, []transition) {
	configs := newConfigCache(m.opts.TopicConfig)
	errs, done := make([]error, len(states)), make([]transition, len(states))
	inParallel(len(states), func(i int) { done[i], errs[i] = m.applyOne(configs, &states[i]) })
	leading, following := m.redirect(states, errs)
	m.resumeMoves(states)
	for i := range states {
		m.Appended(states[i].Partition)
	}
	log := m.logger(c)
	log.Infof("LeaderAndIsr: leading %d, following %d of %d partitions", leading, following, len(states))
	var refused refusals
	for i, err := range errs {
		refused.add(states[i].Partition, err)
	}
	refused.log(log, "LeaderAndIsr")
	return errs, done
}

// redirect has the partitions that were changed copied from their leaders, or not any more. It returns how
// many this broker leads and follows.
func (m *Manager) redirect(states []PartitionState, errs []error) (leading, following int) {
	var followed []Following
	var ended []topic.Partition
	for i := range states {
		s := &states[i]
		switch {
		case errs[i] != nil:
			continue
		case s.Leader == m.opts.BrokerID:
			leading++
		default:
			following++
		}
		p := m.hosted(s.Partition)
		// What this partition is, is known best by itself: a request that only brought a topic id
		// has changed nothing.
		if f, ok := p.following(); ok {
			followed = append(followed, f)
		} else {
			ended = append(ended, s.Partition)
		}
	}
	if m.opts.Followers != nil {
		m.opts.Followers.Unfollow(ended...)
		m.opts.Followers.Follow(followed...)
	}
	return leading, following
}

// applyOne makes one replica what s says, and returns what has changed. That a replica is offline counts before its epochs: this is
// how the controller, which repeats what it has said, finds out. It counts for a replica that is said to be new, too: what
// may lie on the offline directory would be there twice.
func (m *Manager) applyOne(configs *configCache, s *PartitionState) (transition, error) {
	p, absent := m.find(s.Partition)
	if absent != nil {
		return transition{}, absent
	}
	if p == nil {
		if !slices.Contains(s.Replicas, m.opts.BrokerID) {
			return transition{}, ErrUnknownPartition
		}
		var err error
		if p, err = m.newPartition(configs, s); err != nil {
			return transition{}, err
		}
	}
	if err := p.logErr(); err != nil {
		return transition{}, err
	}
	had := p.Log().TopicID()
	if !had.IsZero() && !s.TopicID.IsZero() && had != s.TopicID {
		return transition{}, fmt.Errorf("%w: it has %s, and the controller means %s", ErrInconsistentTopicID, had, s.TopicID)
	}
	leader, epoch := p.LeaderAndEpoch()
	same := s.LeaderEpoch == epoch
	upgrade := same && had.IsZero() && !s.TopicID.IsZero() // only brings the topic's id
	switch {
	case same && !had.IsZero() && s.TopicID.IsZero() && s.Leader != m.opts.BrokerID:
		return transition{}, nil // of a controller that knows no ids (any more): Kafka's fetchers go on without it, ours as they are
	case s.LeaderEpoch <= epoch && !upgrade:
		return transition{}, ErrStaleControllerEpoch
	case !slices.Contains(s.Replicas, m.opts.BrokerID):
		return transition{}, ErrUnknownPartition
	}
	if err := p.Log().SetTopicID(s.TopicID); err != nil || upgrade {
		return transition{}, err
	}
	if err := p.apply(s); err != nil {
		return transition{}, err
	}
	return transition{changed: true, leader: leader, leaderEpoch: epoch, end: p.Log().EndOffset(), highWatermark: p.Log().HighWatermark()}, nil
}

// longestFileName is what file systems allow, in bytes.
const longestFileName = 255

// mayHaveLog reports whether the directory of a partition's log lies where it should, and the next start will know it.
// No controller says anything else; whoever only says that it is one may not fail a log directory, write beside it, or
// keep the broker from starting again.
func mayHaveLog(p topic.Partition) bool {
	return topic.ValidateName(p.Topic) == nil && p.Index >= 0 && len(p.String()) <= longestFileName
}

// newPartition makes the replica of s, with its log if that does not exist.
func (m *Manager) newPartition(configs *configCache, s *PartitionState) (*Partition, error) {
	log := m.opts.Storage.Log(s.Partition)
	if log == nil {
		if !mayHaveLog(s.Partition) {
			return nil, ErrInvalidPartition
		}
		config, err := configs.get(s.Topic)
		if err != nil {
			return nil, fmt.Errorf("properties of topic %s: %w", s.Topic, err)
		}
		log, err = m.opts.Storage.Create(s.Partition, storage.CreateOptions{New: s.IsNew, TopicID: s.TopicID, Config: &config})
		if err != nil {
			m.setAbsent(s.Partition, err)
			return nil, err
		}
	}
	p := &Partition{Partition: s.Partition, manager: m}
	p.log.Store(log)
	p.mu.state = state{leader: NoLeader, leaderEpoch: -1, partitionEpoch: -1}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.partitions[s.Partition] = p
	return p, nil
}

// setAbsent notes that a log could not be created, if that is because it may exist where it cannot be seen.
func (m *Manager) setAbsent(p topic.Partition, err error) {
	if !errors.Is(err, storage.ErrStorage) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.absent[p] = err
}

// Reconfigure gives the logs of topics other configurations, as storage.Manager.Reconfigure does, and returns how
// many logs those were. It takes its turn among the requests of the controller: a log that one of them creates
// has got its configuration from TopicConfig, before this one came into force, and gets this one now; a log
// that is created later gets it from TopicConfig, which must know it when Reconfigure is called.
func (m *Manager) Reconfigure(config func(topic string) (storage.LogConfig, bool)) int {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	return m.opts.Storage.Reconfigure(config)
}

// configCache asks for each topic's properties once per request.
type configCache struct {
	load func(topic string) (storage.LogConfig, error)
	mu   sync.Mutex
	done map[string]func() (storage.LogConfig, error)
}

func newConfigCache(load func(string) (storage.LogConfig, error)) *configCache {
	return &configCache{load: load, done: make(map[string]func() (storage.LogConfig, error))}
}

func (c *configCache) get(name string) (storage.LogConfig, error) {
	c.mu.Lock()
	once := c.done[name]
	if once == nil {
		once = sync.OnceValues(func() (storage.LogConfig, error) { return c.load(name) })
		c.done[name] = once
	}
	c.mu.Unlock()
	return once()
}

// inParallel calls do for 0..n-1 on a few goroutines: creating logs waits for the disk.
func inParallel(n int, do func(i int)) {
	workers := min(n, 4*runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}
