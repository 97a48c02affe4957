// Package hint tells clients whom to ask instead, within the answer that refuses them (KIP-951).
package hint

import (
	"slices"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Leader returns who leads p and appends where that broker listens on listener to nodes, unless it is there
// already. This broker's own replica is asked first, since it hears of a new leader before the
// cluster's metadata does. NoLeader: neither tells.
func Leader(m *replica.Manager, s *metadata.Snapshot, p topic.Partition, listener string, nodes []wire.NodeEndpoint) (wire.LeaderEpoch, []wire.NodeEndpoint) {
	leader := wire.NoLeader
	if local, err := m.Partition(p); err == nil {
		leader.ID, leader.Epoch = local.LeaderAndEpoch()
	} else if state := s.Partition(p); state != nil {
		leader.ID, leader.Epoch = state.Leader, state.LeaderEpoch
	}
	known := func(n wire.NodeEndpoint) bool { return n.ID == leader.ID }
	at, listens := s.Endpoint(leader.ID, listener)
	if !listens || slices.ContainsFunc(nodes, known) {
		return leader, nodes
	}
	return leader, append(nodes, wire.NodeEndpoint{ID: leader.ID, Host: at.Host, Port: at.Port, Rack: s.Broker(leader.ID).Rack})
}
