// Package coordinator keeps consumer groups for the partitions of __consumer_offsets that this broker leads.
//
// The leader of a partition coordinates the groups whose ids hash to it. Elected and Resigned, which come
// with LeaderAndIsr and StopReplica, make a partition
//
//	not owned -> loading -> owned -> not owned
//
// While it is loaded (load.go), requests are told to come again; when it is lost, its groups end here, and
// who waits is sent elsewhere. A request goes
//
//	api/groups -> Coordinator -> group.Group -> replica.Partition.Append -> api/groups
//
// The state of a group is package group's. What it wants appended is appended while the partition's lock is
// held, so that records lie in the log in the order of the events that made them; its outcome is an event
// again, after the high watermark has passed the records or offsets.commit.timeout.ms. Answers are given
// when no lock is held.
//
// One purgatory holds the alarms of all groups, at most one alarm that counts for each.
//
// Lock order: partition.mu, then the locks of package replica. None is held while a purgatory is checked
// or an answer is given.
package coordinator

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/purgatory"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Options configure a Coordinator. Replicas, Partitions, Groups.NewID and Logger are required.
type Options struct {
	Replicas   *replica.Manager
	Partitions int // of __consumer_offsets; groups are spread over them
	Groups     group.Config
	Logger     logrus.FieldLogger

	RequiredAcks           int16         // offsets.commit.required.acks: -1 waits for the in-sync replicas
	CommitTimeout          time.Duration // offsets.commit.timeout.ms: 5 s
	Codec                  record.Codec  // offsets.topic.compression.codec
	LoadBufferBytes        int           // offsets.load.buffer.size: 5 MiB
	Retention              time.Duration // offsets.retention.minutes: 7 days
	RetentionCheckInterval time.Duration // offsets.retention.check.interval.ms: 10 min

	// Verifying reports whether transactions are verified before they commit offsets
	// (transaction.partition.verification.enable): they are not.
	Verifying func() bool
}

// Coordinator coordinates the groups of the partitions that this broker leads.
type Coordinator struct {
	opts       Options
	partitions []*partition
	alarms     *purgatory.Purgatory[int32] // without keys: nothing but time ends an alarm

	ctx    context.Context // of loading and expiring; it ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	loads  chan struct{} // a place for each partition that may be loaded at a time
}

// ownership says whether a partition's groups are here.
type ownership int8

const (
	elsewhere ownership = iota
	loading
	owned
)

// partition is one partition of __consumer_offsets and the groups in it.
type partition struct {
	topic.Partition

	mu      sync.Mutex
	owner   ownership
	endLoad context.CancelFunc // of the load that makes it owned, while it is loading
	epoch   int32              // leader epoch of the last change; -1: none
	groups  map[string]*entry
	txns    txns
}

// entry is a group with the alarm that is set for it.
type entry struct {
	*group.Group
	alarm time.Time // zero: none
}

// loadsAtOnce bounds how many partitions are loaded at a time.
const loadsAtOnce = 2

// New returns a Coordinator that owns no partition yet.
func New(opts Options) (*Coordinator, error) {
	if opts.Replicas == nil || opts.Partitions <= 0 || opts.Groups.NewID == nil || opts.Logger == nil {
		return nil, errors.New("coordinator: Options is incomplete")
	}
	if opts.Verifying == nil {
		opts.Verifying = func() bool { return false }
	}
	opts.CommitTimeout = cmp.Or(opts.CommitTimeout, 5*time.Second)
	opts.LoadBufferBytes = cmp.Or(opts.LoadBufferBytes, 5<<20)
	opts.Retention = cmp.Or(opts.Retention, 7*24*time.Hour)
	opts.RetentionCheckInterval = cmp.Or(opts.RetentionCheckInterval, 10*time.Minute)
	c := &Coordinator{opts: opts, alarms: purgatory.New[int32](), loads: make(chan struct{}, loadsAtOnce)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for i := range opts.Partitions {
		c.partitions = append(c.partitions, &partition{
			Partition: topic.Partition{Topic: topic.ConsumerOffsets, Index: int32(i)}, epoch: -1,
		})
	}
	c.wg.Go(c.expireLoop)
	return c, nil
}

// Close sends everybody who waits elsewhere. What is being appended may still end; Replicas are closed
// by their owner, before or after.
func (c *Coordinator) Close() {
	c.cancel()
	for _, p := range c.partitions {
		c.resign(p)
	}
	c.alarms.Close()
	c.wg.Wait()
}

// PartitionFor returns the partition of __consumer_offsets that a group belongs to.
func (c *Coordinator) PartitionFor(groupID string) int32 {
	return PartitionOf(groupID, len(c.partitions))
}

// PartitionOf returns which of a topic's partitions the state of a group, or of a transactional id, is kept in.
func PartitionOf(id string, partitions int) int32 { return hash(id) % int32(partitions) }

// hash is the absolute value of Java's String.hashCode, 0 where there is none (Utils.abs).
func hash(s string) int32 {
	var h int32
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			h = 31*h + (0xd800 + r>>10)
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + r
	}
	return max(h, -h, 0)
}

func (c *Coordinator) partitionOf(groupID string) *partition {
	return c.partitions[c.PartitionFor(groupID)]
}

// checkLocked returns why p's groups cannot be asked for. It requires mu.
func (p *partition) checkLocked() *kerr.Error {
	switch p.owner {
	case loading:
		return kerr.CoordinatorLoadInProgress
	case elsewhere:
		return kerr.NotCoordinator
	}
	return nil
}

// with runs do on a group under its partition's lock, and then acts on the effects. If there is no such group,
// one is made where create says so; else do gets nil, and no lock is held. The error is checkLocked's: do is not run.
// groupID is not kept.
func (c *Coordinator) with(groupID string, create bool, do func(g *group.Group, now time.Time)) *kerr.Error {
	p := c.partitionOf(groupID)
	now := time.Now()
	p.mu.Lock()
	if err := p.checkLocked(); err != nil {
		p.mu.Unlock()
		return err
	}
	e := p.groups[groupID]
	if e == nil && create {
		e = &entry{Group: group.New(strings.Clone(groupID), &c.opts.Groups, now)}
		p.groups[e.ID] = e
	}
	if e == nil {
		p.mu.Unlock()
		do(nil, now)
		return nil
	}
	do(e.Group, now)
	work := c.settleLocked(p, e)
	p.mu.Unlock()
	c.act(p, e, work)
	return nil
}

// Deleted removes the offsets of partitions that are no more.
func (c *Coordinator) Deleted(partitions []topic.Partition) {
	if len(partitions) > 0 {
		c.each(func(g *group.Group, now time.Time) { g.Forget(partitions, now) })
	}
}

// each runs do on every group, as with does.
func (c *Coordinator) each(do func(g *group.Group, now time.Time)) {
	for _, p := range c.partitions {
		p.mu.Lock()
		var all []*entry
		if p.owner == owned {
			for _, e := range p.groups {
				all = append(all, e)
			}
		}
		p.mu.Unlock()
		for _, e := range all {
			p.mu.Lock()
			do(e.Group, time.Now())
			work := c.settleLocked(p, e)
			p.mu.Unlock()
			c.act(p, e, work)
		}
	}
}

// expireLoop looks for offsets whose time is over.
func (c *Coordinator) expireLoop() {
	t := time.NewTicker(c.opts.RetentionCheckInterval)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
			c.each(func(g *group.Group, now time.Time) { g.Expire(c.opts.Retention, now) })
		}
	}
}
