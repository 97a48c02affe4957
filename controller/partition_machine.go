package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/zkutil"
)

// markPartitions brings partitions into a state that neither writes nor sends anything: all but
// onlinePartition.
func (c *core) markPartitions(ps []*partition, to partitionState) {
	var failed failures
	for _, p := range c.ready(ps, to, &failed) {
		p.state = to
	}
	failed.log(c, to)
}

// ready returns the partitions that may go into the state to.
func (c *core) ready(ps []*partition, to partitionState, failed *failures) []*partition {
	var valid []*partition
	for _, p := range ps {
		if !to.follows(p.state) {
			failed.add(p.Partition, fmt.Sprintf("it is in state %s", p.state))
			continue
		}
		valid = append(valid, p)
	}
	return valid
}

// bringOnline brings partitions to onlinePartition: new ones get their first leader and state znode,
// the others one that choose elects. It returns those that have a leader now. The others stay as they
// are, in memory and in ZooKeeper.
func (c *core) bringOnline(ctx context.Context, ps []*partition, choose strategy) (led []*partition, err error) {
	if len(ps) == 0 {
		return nil, nil
	}
	b := newBatch()
	var failed failures
	var fresh, known []*partition
	for _, p := range c.ready(ps, onlinePartition, &failed) {
		if p.state == newPartition {
			fresh = append(fresh, p)
		} else {
			known = append(known, p)
		}
	}
	begun, adopted, err := c.initialise(ctx, b, fresh, &failed)
	if err != nil {
		return nil, err
	}
	elected, err := c.elect(ctx, b, append(known, adopted...), choose, &failed)
	if err != nil {
		return nil, err
	}
	failed.log(c, onlinePartition)
	c.flush(b)
	if len(elected) > 0 {
		c.log.Infof("Elected leaders of %d partitions: %s", len(elected), some(elected))
	}
	return append(begun, elected...), nil
}

// electable returns the partitions without a leader, which are not to be deleted.
func (c *core) electable() []*partition {
	return c.partitionsWhere(func(p *partition) bool {
		return (p.state == offlinePartition || p.state == newPartition) && !p.topic.queued
	})
}

// bringElectableOnline tries to find a leader for every partition that has none.
func (c *core) bringElectableOnline(ctx context.Context) ([]*partition, error) {
	return c.bringOnline(ctx, c.electable(), nil)
}

// initialise gives new partitions their first leader. It returns those that have one now, and those
// that turned out to have a state znode already, which are put to offlinePartition.
func (c *core) initialise(ctx context.Context, b *batch, ps []*partition, failed *failures) (begun, adopted []*partition, err error) {
	var live []*partition
	var first []*leadership
	for _, p := range ps {
		next, ok := firstLeader(c.onlineOf(p.Replicas, p))
		if !ok {
			failed.add(p.Partition, fmt.Sprintf("no assigned replica is alive, live brokers are %v", c.brokerIDs()))
			continue
		}
		live, first = append(live, p), append(first, next.written(c.fence.Epoch, 0))
	}
	if len(live) == 0 {
		return nil, nil, nil
	}
	outcomes, err := c.createStates(ctx, live, first)
	if err != nil {
		return nil, nil, err
	}
	var existing []*partition
	for i, p := range live {
		switch err := outcomes[i].err; {
		case err == nil:
			p.leadership, p.state = first[i], onlinePartition
			b.lead(first[i].ISR, p, true)
			begun = append(begun, p)
		case errors.Is(err, zkutil.ErrNodeExists):
			existing = append(existing, p)
		default:
			failed.add(p.Partition, err.Error())
		}
	}
	adopted, err = c.adopt(ctx, existing)
	return begun, adopted, err
}

// createStates makes the state znodes of partitions, and the nodes above them.
func (c *core) createStates(ctx context.Context, ps []*partition, first []*leadership) ([]outcome, error) {
	var parents []write
	for i, p := range ps {
		// A topic with a led partition has the parent; only then is the order of ps not enough to tell.
		if i > 0 && ps[i-1].topic == p.topic || slices.ContainsFunc(p.topic.partitions, func(q *partition) bool { return q.leadership != nil }) {
			continue
		}
		parents = append(parents, write{kind: createNode, path: zkutil.PartitionsPath(p.Topic)})
	}
	if _, err := c.writeAll(ctx, parents); err != nil {
		return nil, err
	}
	groups := make([][]write, len(ps))
	for i, p := range ps {
		groups[i] = []write{
			{kind: createNode, path: zkutil.PartitionPath(p.Partition)},
			{kind: createNode, path: zkutil.PartitionStatePath(p.Partition), data: first[i].encode()},
		}
	}
	grouped, err := c.zk.Write(ctx, c.fence, groups)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(ps))
	for i := range grouped {
		outcomes[i] = grouped[i][1]
	}
	return outcomes, nil
}

// adopt takes over partitions that were thought to be new and have a state znode: of a topic deleted only in
// part, or made by a controller before this one after this one had read the cluster.
func (c *core) adopt(ctx context.Context, ps []*partition) ([]*partition, error) {
	states, err := c.readStates(ctx, ps)
	if err != nil {
		return nil, err
	}
	var adopted []*partition
	for i, p := range ps {
		if states[i].leadership != nil {
			p.leadership, p.state = states[i].leadership, offlinePartition
			adopted = append(adopted, p)
		}
	}
	return adopted, nil
}

// elect finds leaders for partitions that had one before. A nil strategy is the offline one.
func (c *core) elect(ctx context.Context, b *batch, ps []*partition, choose strategy, failed *failures) (elected []*partition, err error) {
	for read := c.knownStates; len(ps) > 0; read = c.readStates {
		old, err := read(ctx, ps)
		if err != nil {
			return nil, err
		}
		use := choose
		if use == nil {
			if use, err = c.offlineStrategy(ctx, ps, old); err != nil {
				return nil, err
			}
		}
		var changes []change
		var doubtful []*partition
		for i, p := range ps {
			if old[i].leadership == nil {
				failed.add(p.Partition, old[i].reason)
				continue
			}
			switch next, recipients, ok := use(p, old[i].leadership, func(id int32) bool { return c.online(id, p) }); {
			case ok:
				changes = append(changes, change{p, old[i].leadership, next, recipients})
			case old[i].remembered:
				doubtful = append(doubtful, p)
			default:
				failed.add(p.Partition, "no replica can lead it")
			}
		}
		done, again, err := c.update(ctx, changes, failed)
		if err != nil {
			return nil, err
		}
		for _, ch := range done {
			ch.partition.state = onlinePartition
			b.lead(ch.recipients, ch.partition, false)
			elected = append(elected, ch.partition)
		}
		c.logUnclean(done)
		ps = append(again, doubtful...)
	}
	return elected, nil
}

// change is a new content for the state znode of a partition.
type change struct {
	*partition
	old, next  *leadership
	recipients []int32
}

// update writes changes and takes over those that were done; again are the partitions whose znode was
// changed by somebody else meanwhile.
func (c *core) update(ctx context.Context, changes []change, failed *failures) (done []change, again []*partition, err error) {
	writes := make([]write, len(changes))
	for i := range changes {
		ch := &changes[i]
		ch.next = ch.next.written(c.fence.Epoch, ch.old.Version)
		writes[i] = write{
			kind: setNode, path: zkutil.PartitionStatePath(ch.Partition),
			data: ch.next.encode(), version: ch.old.Version,
		}
	}
	outcomes, err := c.writeAll(ctx, writes)
	if err != nil {
		return nil, nil, err
	}
	for i, o := range outcomes {
		ch := changes[i]
		switch {
		case o.err == nil:
			ch.partition.leadership = ch.next.written(c.fence.Epoch, o.version)
			done = append(done, ch)
		case errors.Is(o.err, zkutil.ErrBadVersion):
			again = append(again, ch.partition)
		default:
			failed.add(ch.Partition, o.err.Error())
		}
	}
	return done, again, nil
}

// stateRead is the content of a state znode, or why there is none to go by.
type stateRead struct {
	leadership *leadership
	remembered bool // and not read: it may have been changed since
	absent     bool
	reason     string
}

// knownStates is readStates, but from memory where a partition's state is known. Whoever goes by it writes on condition of
// the version, and reads what was changed since by somebody else, a leader that changed the ISR; if he would not
// write, he reads first. That spares the reading of thousands of znodes while their partitions wait for a leader.
func (c *core) knownStates(ctx context.Context, ps []*partition) ([]stateRead, error) {
	states := make([]stateRead, len(ps))
	var unknown []*partition
	var at []int
	for i, p := range ps {
		if l := p.leadership; l != nil && l.ControllerEpoch <= c.fence.Epoch {
			states[i] = stateRead{leadership: l, remembered: true}
			continue
		}
		unknown, at = append(unknown, p), append(at, i)
	}
	read, err := c.readStates(ctx, unknown)
	for i := range read {
		states[at[i]] = read[i]
	}
	return states, err
}

// readStates reads the state znodes of partitions. One that a later controller has written is not to
// be touched.
func (c *core) readStates(ctx context.Context, ps []*partition) ([]stateRead, error) {
	if len(ps) == 0 {
		return nil, nil
	}
	paths := make([]string, len(ps))
	for i, p := range ps {
		paths[i] = zkutil.PartitionStatePath(p.Partition)
	}
	nodes, err := c.zk.Get(ctx, false, paths...)
	if err != nil {
		return nil, err
	}
	states := make([]stateRead, len(ps))
	for i := range nodes {
		l := decodeState(&nodes[i])
		switch {
		case l == nil:
			states[i] = stateRead{absent: true, reason: "its state znode does not exist or cannot be read"}
		case l.ControllerEpoch > c.fence.Epoch:
			states[i].reason = fmt.Sprintf("its state znode was written by the controller of epoch %d", l.ControllerEpoch)
		default:
			states[i].leadership = l
		}
	}
	return states, nil
}
