package replica

import "github.com/gregor-mq/gregor/broker/topic"

// Stop is what StopReplica says of one partition.
type Stop struct {
	topic.Partition
	LeaderEpoch int32 // -1: none known, -2: the topic is being deleted
	Delete      bool  // the log too
}

// StopReplicas ends replicas, and deletes their logs where asked, with an error per partition, in
// stops' order; the error of the whole is Obey's.
func (m *Manager) StopReplicas(c Command, stops []Stop) (errs []error, err error) {
	err = m.Obey(c, func() {
		errs = make([]error, len(stops))
		var refused refusals
		for i, s := range stops {
			errs[i] = m.stopReplica(s)
			refused.add(s.Partition, errs[i])
			m.Appended(s.Partition)
		}
		refused.log(m.logger(c), "StopReplica")
	})
	return errs, err
}

func (m *Manager) stopReplica(s Stop) error {
	p, absent := m.find(s.Partition)
	switch {
	case absent != nil: // what cannot be deleted now would be there again once the directory is
		return absent
	case p != nil:
		if err := p.logErr(); err != nil {
			return err
		}
		if _, epoch := p.LeaderAndEpoch(); s.LeaderEpoch >= 0 && s.LeaderEpoch < epoch {
			return ErrFencedLeaderEpoch
		}
		p.resign()
		if m.opts.Followers != nil {
			m.opts.Followers.Unfollow(s.Partition)
		}
		if m.opts.Mover != nil {
			m.opts.Mover.Forget(s.Partition)
		}
		p.mu.Lock() // keeps a future log from being promoted meanwhile
		defer p.mu.Unlock()
	}
	if !s.Delete {
		return nil
	}
	m.mu.Lock()
	delete(m.mu.partitions, s.Partition)
	m.mu.Unlock()
	return m.opts.Storage.Delete(s.Partition)
}
