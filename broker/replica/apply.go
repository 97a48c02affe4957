package replica

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

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
	BrokerEpoch     int64 // -1: any
}

// Admit checks that c comes from the newest controller known and means this registration of the
// broker: ErrStaleBrokerEpoch, ErrStaleControllerEpoch. A broker epoch from the future is legal,
// because the controller may learn of a registration before the broker does.
func (m *Manager) Admit(c Command) error {
	if c.BrokerEpoch >= 0 && c.BrokerEpoch < m.opts.BrokerEpoch() {
		return ErrStaleBrokerEpoch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.ControllerEpoch < m.mu.controllerEpoch {
		return ErrStaleControllerEpoch
	}
	m.mu.controllerEpoch = c.ControllerEpoch
	return nil
}

// Apply makes this broker's replicas what the controller decided (ReplicaManager.becomeLeaderOrFollower)
// and returns an error per partition, in states' order. Logs that do not exist are created, several
// at a time. The error of the whole is Admit's.
func (m *Manager) Apply(c Command, states []PartitionState) ([]error, error) {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	if err := m.Admit(c); err != nil {
		m.opts.Logger.WithField("controller", c.ControllerID).WithField("epoch", c.ControllerEpoch).WithError(err).
			Warn("ignoring LeaderAndIsr request")
		return nil, err
	}
	configs := newConfigCache(m.opts.TopicConfig)
	errs := make([]error, len(states))
	inParallel(len(states), func(i int) { errs[i] = m.applyOne(configs, &states[i]) })
	leading, following := m.redirect(states, errs)
	for i := range states {
		m.Appended(states[i].Partition)
	}
	m.opts.Logger.WithField("controller", c.ControllerID).WithField("epoch", c.ControllerEpoch).
		Infof("LeaderAndIsr: leading %d, following %d of %d partitions", leading, following, len(states))
	return errs, nil
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
		m.mu.RLock()
		p := m.mu.partitions[s.Partition]
		m.mu.RUnlock()
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

func (m *Manager) applyOne(configs *configCache, s *PartitionState) error {
	if !slices.Contains(s.Replicas, m.opts.BrokerID) {
		return ErrUnknownPartition
	}
	p, err := m.partitionFor(configs, s)
	if err != nil {
		return err
	}
	if err := adoptTopicID(p.log, s.TopicID); err != nil {
		return err
	}
	_, err = p.apply(*s)
	if errors.Is(err, ErrStaleControllerEpoch) && p.sameEpoch(s) && !s.TopicID.IsZero() {
		return nil // the request only brought the topic's id
	}
	return err
}

// sameEpoch reports whether s repeats the leader epoch that the replica has.
func (p *Partition) sameEpoch(s *PartitionState) bool {
	_, epoch := p.LeaderAndEpoch()
	return epoch == s.LeaderEpoch
}

// adoptTopicID gives log the id if it has none; another id is an error.
func adoptTopicID(log *storage.Log, id topic.ID) error {
	has := log.TopicID()
	switch {
	case id.IsZero() || has == id:
		return nil
	case !has.IsZero():
		return ErrInconsistentTopicID
	}
	return log.SetTopicID(id)
}

// partitionFor finds the replica of s, with its log, or makes it.
func (m *Manager) partitionFor(configs *configCache, s *PartitionState) (*Partition, error) {
	m.mu.RLock()
	p := m.mu.partitions[s.Partition]
	m.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	log := m.opts.Storage.Log(s.Partition)
	if log == nil {
		config, err := configs.get(s.Topic)
		if err != nil {
			return nil, fmt.Errorf("properties of topic %s: %w", s.Topic, err)
		}
		log, err = m.opts.Storage.Create(s.Partition, storage.CreateOptions{New: s.IsNew, TopicID: s.TopicID, Config: &config})
		if err != nil {
			return nil, err
		}
	}
	p = &Partition{Partition: s.Partition, manager: m, log: log}
	p.mu.state = state{leader: NoLeader, leaderEpoch: -1, partitionEpoch: -1}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.partitions[s.Partition] = p
	return p, nil
}

// Stop is what StopReplica says of one partition.
type Stop struct {
	topic.Partition
	LeaderEpoch int32 // -1: none known, -2: the topic is being deleted
	Delete      bool  // the log too
}

// StopReplicas ends replicas, and deletes their logs where asked, with an error per partition, in
// stops' order; the error of the whole is Admit's.
func (m *Manager) StopReplicas(c Command, stops []Stop) ([]error, error) {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	if err := m.Admit(c); err != nil {
		return nil, err
	}
	errs := make([]error, len(stops))
	for i, s := range stops {
		errs[i] = m.stopReplica(s)
		m.Appended(s.Partition)
	}
	return errs, nil
}

func (m *Manager) stopReplica(s Stop) error {
	m.mu.RLock()
	p := m.mu.partitions[s.Partition]
	m.mu.RUnlock()
	if p != nil {
		if _, epoch := p.LeaderAndEpoch(); s.LeaderEpoch >= 0 && s.LeaderEpoch < epoch {
			return ErrFencedLeaderEpoch
		}
		p.resign()
		if m.opts.Followers != nil {
			m.opts.Followers.Unfollow(s.Partition)
		}
	}
	if !s.Delete {
		return nil
	}
	m.mu.Lock()
	delete(m.mu.partitions, s.Partition)
	m.mu.Unlock()
	if m.opts.Storage.Log(s.Partition) == nil {
		return nil
	}
	return m.opts.Storage.Delete(s.Partition)
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
