package replica

import "strconv"

// transition is what an order of the controller has made of a replica.
type transition struct {
	changed             bool
	leader, leaderEpoch int32 // before; leader: NoLeader if none was known
	end, highWatermark  int64 // of its log, as it begins to lead or to follow
}

// logTransitions leaves a line for each replica that was made a leader or a follower, in what Kafka calls the state change
// log: from those of all brokers one sees who led a partition when. done is in the order of states. Nothing is locked: there
// may be thousands.
func (m *Manager) logTransitions(states []PartitionState, done []transition) {
	for i := range done {
		if done[i].changed {
			m.logTransition(&states[i], done[i])
		}
	}
}

func (m *Manager) logTransition(s *PartitionState, done transition) {
	before := "none"
	if done.leader != NoLeader {
		before = strconv.Itoa(int(done.leader))
	}
	if s.Leader == m.opts.BrokerID {
		m.opts.StateChanges.Infof("Leader %s starts at leader epoch %d from offset %d with partition epoch %d, high watermark %d, ISR %v. "+
			"Previous leader %s and previous leader epoch was %d", s.Partition, s.LeaderEpoch, done.end, s.PartitionEpoch,
			done.highWatermark, s.ISR, before, done.leaderEpoch)
	} else {
		m.opts.StateChanges.Infof("Follower %s starts at leader epoch %d from offset %d with partition epoch %d and high watermark %d. "+
			"Current leader is %d. Previous leader %s and previous leader epoch was %d", s.Partition, s.LeaderEpoch, done.end,
			s.PartitionEpoch, done.highWatermark, s.Leader, before, done.leaderEpoch)
	}
}
