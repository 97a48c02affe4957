package controller

import (
	"context"
	"fmt"
	"slices"
)

// markReplicas brings replicas into a state that neither writes nor sends anything.
func (c *core) markReplicas(replicas []replica, to replicaState) {
	var failed failures
	for _, r := range c.readyReplicas(replicas, to, &failed) {
		r.setReplicaState(r.broker, to)
	}
	failed.log(c, to)
}

// readyReplicas returns the replicas that may go into the state to.
func (c *core) readyReplicas(replicas []replica, to replicaState, failed *failures) []replica {
	var valid []replica
	for _, r := range replicas {
		if old := r.replicaState(r.broker); !to.follows(old) {
			failed.add(r, fmt.Sprintf("it is in state %s", old))
			continue
		}
		valid = append(valid, r)
	}
	return valid
}

// startReplicas brings replicas to newReplica. Those of partitions that have a leader are told of it.
func (c *core) startReplicas(replicas []replica) {
	b := newBatch()
	var failed failures
	for _, r := range c.readyReplicas(replicas, newReplica, &failed) {
		if l := r.leadership; l != nil {
			if l.Leader == r.broker {
				failed.add(r, "it is the leader")
				continue
			}
			b.lead([]int32{r.broker}, r.partition, true)
		}
		r.setReplicaState(r.broker, newReplica)
	}
	failed.log(c, newReplica)
	c.flush(b)
}

// bringReplicasOnline brings replicas to onlineReplica and tells them what they replicate, unless they
// are new: then they know.
func (c *core) bringReplicasOnline(replicas []replica) { c.bringOthersOnline(replicas, nil) }

// bringOthersOnline is bringReplicasOnline, where those of partitions that are told know, too.
func (c *core) bringOthersOnline(replicas []replica, told map[*partition]bool) {
	b := newBatch()
	var failed failures
	for _, r := range c.readyReplicas(replicas, onlineReplica, &failed) {
		if r.replicaState(r.broker) != newReplica && r.leadership != nil && !told[r.partition] {
			b.lead([]int32{r.broker}, r.partition, false)
		}
		r.setReplicaState(r.broker, onlineReplica)
	}
	failed.log(c, onlineReplica)
	c.flush(b)
}

// takeReplicasOffline brings replicas to offlineReplica: they are stopped, if their broker lives, leave the
// ISR, and the other replicas hear of it. Those of partitions that are told have heard already what they will hear if the ISR
// is left as it is.
func (c *core) takeReplicasOffline(ctx context.Context, replicas []replica, told map[*partition]bool) error {
	b := newBatch()
	var failed failures
	brokers, byBroker := brokersOf(c.readyReplicas(replicas, offlineReplica, &failed))
	for _, id := range brokers {
		if err := c.takeOffline(ctx, b, id, byBroker[id], told, &failed); err != nil {
			return err
		}
	}
	failed.log(c, offlineReplica)
	c.flush(b)
	return nil
}

func (c *core) takeOffline(ctx context.Context, b *batch, broker int32, ps []*partition, told map[*partition]bool, failed *failures) error {
	var led []*partition
	for _, p := range ps {
		b.stopReplica(broker, p, false)
		if p.leadership != nil {
			led = append(led, p)
			continue
		}
		b.announce(p)
		p.setReplicaState(broker, offlineReplica)
	}
	left, unchanged, err := c.removeFromISR(ctx, broker, led, told, failed)
	if err != nil {
		return err
	}
	for i, p := range slices.Concat(left, unchanged) {
		if !p.topic.queued && (i < len(left) || !told[p]) {
			b.lead(keep(p.Replicas, func(id int32) bool { return id != broker }), p, false)
		}
		p.setReplicaState(broker, offlineReplica)
	}
	return nil
}

// removeFromISR takes broker out of the ISR of the partitions and returns those that it has left, and those whose ISRs
// were without it; a partition's last member stays. The state of those that are told is known for certain.
func (c *core) removeFromISR(ctx context.Context, broker int32, ps []*partition, told map[*partition]bool, failed *failures) (left, unchanged []*partition, err error) {
	for read := c.knownStates; len(ps) > 0; read = c.readStates {
		states, err := read(ctx, ps)
		if err != nil {
			return nil, nil, err
		}
		var changes []change
		var doubtful []*partition
		for i, p := range ps {
			old := states[i].leadership
			if old == nil {
				if !states[i].absent || !p.topic.queued {
					failed.add(replica{p, broker}, states[i].reason)
				}
				continue
			}
			next, changed := old.without(broker)
			if !changed && states[i].remembered && !told[p] {
				doubtful = append(doubtful, p)
				continue
			}
			if !changed {
				p.leadership = old.written(c.fence.Epoch, old.Version)
				unchanged = append(unchanged, p)
				continue
			}
			changes = append(changes, change{partition: p, old: old, next: next})
		}
		done, again, err := c.update(ctx, changes, failed)
		if err != nil {
			return nil, nil, err
		}
		for _, ch := range done {
			left = append(left, ch.partition)
		}
		ps = append(again, doubtful...)
	}
	if len(left) > 0 {
		c.log.Infof("Removed replica %d from the ISR of %d partitions", broker, len(left))
	}
	return left, unchanged, nil
}

// startDeletion brings replicas to replicaDeletionStarted: their brokers are told to delete them.
func (c *core) startDeletion(replicas []replica) {
	b := newBatch()
	var failed failures
	for _, r := range c.readyReplicas(replicas, replicaDeletionStarted, &failed) {
		r.setReplicaState(r.broker, replicaDeletionStarted)
		b.stopReplica(r.broker, r.partition, true)
	}
	failed.log(c, replicaDeletionStarted)
	c.flush(b)
}

// forgetReplicas brings replicas to nonExistentReplica: they leave the assignment.
func (c *core) forgetReplicas(replicas []replica) {
	var failed failures
	for _, r := range c.readyReplicas(replicas, nonExistentReplica, &failed) {
		other := func(id int32) bool { return id != r.broker }
		r.Assignment.Replicas = keep(r.Assignment.Replicas, other)
		r.Adding, r.Removing = keep(r.Adding, other), keep(r.Removing, other)
		r.setReplicaState(r.broker, nonExistentReplica)
	}
	failed.log(c, nonExistentReplica)
}
