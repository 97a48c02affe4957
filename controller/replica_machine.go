package controller

import (
	"context"
	"fmt"
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
func (c *core) bringReplicasOnline(replicas []replica) {
	b := newBatch()
	var failed failures
	for _, r := range c.readyReplicas(replicas, onlineReplica, &failed) {
		if r.replicaState(r.broker) != newReplica && r.leadership != nil {
			b.lead([]int32{r.broker}, r.partition, false)
		}
		r.setReplicaState(r.broker, onlineReplica)
	}
	failed.log(c, onlineReplica)
	c.flush(b)
}

// takeReplicasOffline brings replicas to offlineReplica: they are stopped, if their broker lives, leave the
// ISR, and the other replicas hear of it.
func (c *core) takeReplicasOffline(ctx context.Context, replicas []replica) error {
	b := newBatch()
	var failed failures
	brokers, byBroker := brokersOf(c.readyReplicas(replicas, offlineReplica, &failed))
	for _, id := range brokers {
		if err := c.takeOffline(ctx, b, id, byBroker[id], &failed); err != nil {
			return err
		}
	}
	failed.log(c, offlineReplica)
	c.flush(b)
	return nil
}

func (c *core) takeOffline(ctx context.Context, b *batch, broker int32, ps []*partition, failed *failures) error {
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
	left, err := c.removeFromISR(ctx, broker, led, failed)
	if err != nil {
		return err
	}
	for _, p := range left {
		if !p.topic.queued {
			b.lead(keep(p.Replicas, func(id int32) bool { return id != broker }), p, false)
		}
		p.setReplicaState(broker, offlineReplica)
	}
	return nil
}

// removeFromISR takes broker out of the ISR of the partitions and returns those of which it is known that
// they are without it now; a partition's last member stays.
func (c *core) removeFromISR(ctx context.Context, broker int32, ps []*partition, failed *failures) (left []*partition, err error) {
	written := 0
	for len(ps) > 0 {
		states, err := c.readStates(ctx, ps)
		if err != nil {
			return nil, err
		}
		var changes []change
		for i, p := range ps {
			old := states[i].leadership
			if old == nil {
				if !states[i].absent || !p.topic.queued {
					failed.add(replica{p, broker}, states[i].reason)
				}
				continue
			}
			next, changed := old.without(broker)
			if !changed {
				p.leadership = old.written(c.fence.Epoch, old.Version)
				left = append(left, p)
				continue
			}
			changes = append(changes, change{partition: p, old: old, next: next})
		}
		done, again, err := c.update(ctx, changes, failed)
		if err != nil {
			return nil, err
		}
		for _, ch := range done {
			left = append(left, ch.partition)
		}
		written += len(done)
		ps = again
	}
	if written > 0 {
		c.log.Infof("Removed replica %d from the ISR of %d partitions", broker, written)
	}
	return left, nil
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
