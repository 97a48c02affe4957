package replica

import "strconv"

// previous is what a replica was before an order of the controller changed it.
type previous struct {
	changed             bool
	leader, leaderEpoch int32 // leader: NoLeader if none was known
}

// logTransitions leaves a line for each replica that c made a leader or a follower, in what Kafka calls the state change
// log: from those of all brokers one sees who led a partition when. was is in the order of states.
func (m *Manager) logTransitions(states []PartitionState, was []previous) {
	for i := range states {
		if was[i].changed {
			m.logTransition(&states[i], was[i])
		}
	}
}

func (m *Manager) logTransition(s *PartitionState, was previous) {
	p := m.hosted(s.Partition)
	if p == nil {
		return
	}
	before := "none"
	if was.leader != NoLeader {
		before = strconv.Itoa(int(was.leader))
	}
	if log := p.Log(); s.Leader == m.opts.BrokerID {
		m.opts.StateChanges.Infof("Leader %s starts at leader epoch %d from offset %d with partition epoch %d, high watermark %d, ISR %v. "+
			"Previous leader %s and previous leader epoch was %d", s.Partition, s.LeaderEpoch, log.EndOffset(), s.PartitionEpoch,
			log.HighWatermark(), s.ISR, before, was.leaderEpoch)
	} else {
		m.opts.StateChanges.Infof("Follower %s starts at leader epoch %d from offset %d with partition epoch %d and high watermark %d. "+
			"Current leader is %d. Previous leader %s and previous leader epoch was %d", s.Partition, s.LeaderEpoch, log.EndOffset(),
			s.PartitionEpoch, log.HighWatermark(), s.Leader, before, was.leaderEpoch)
	}
}
