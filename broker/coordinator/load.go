package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Elected makes this broker the coordinator of a partition's groups, under a leader epoch. It returns at once: until
// the partition is loaded, requests are told so. An epoch that is not news is ignored.
//
// Elected and Resigned are called in the order in which the replica changes. So who is elected anew and has not resigned
// went on leading: the log is as this broker knows it, or reads it already.
func (c *Coordinator) Elected(index, epoch int32) {
	p := c.partition(index)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if epoch <= p.epoch || c.ctx.Err() != nil {
		return
	}
	if p.epoch = epoch; p.owner != elsewhere {
		return
	}
	p.owner = loading
	ctx, cancel := context.WithCancel(c.ctx)
	p.endLoad = cancel
	c.wg.Go(func() {
		defer cancel()
		c.load(ctx, p, epoch)
	})
}

// Resigned ends the groups of a partition here, in a leader epoch; -1: in any, since the topic is deleted. If it is
// made anew, its epochs begin anew.
func (c *Coordinator) Resigned(index, epoch int32) {
	p := c.partition(index)
	if p == nil {
		return
	}
	p.mu.Lock()
	if epoch >= 0 && epoch < p.epoch {
		p.mu.Unlock()
		return
	}
	p.epoch = epoch
	p.mu.Unlock()
	c.resign(p)
}

func (c *Coordinator) partition(index int32) *partition {
	if index < 0 || int(index) >= len(c.partitions) {
		c.opts.Logger.WithField("partition", index).Warnf("%s has more partitions than when this broker started; no group is looked for there", topic.ConsumerOffsets)
		return nil
	}
	return c.partitions[index]
}

// resign ends p's groups.
func (c *Coordinator) resign(p *partition) {
	now := time.Now()
	p.mu.Lock()
	groups := p.groups
	p.disownLocked()
	ended := make(map[*entry]work, len(groups))
	for _, e := range groups {
		e.Unload(now)
		ended[e] = c.settleLocked(p, e)
	}
	p.mu.Unlock()
	for e, w := range ended {
		c.act(p, e, w)
	}
	if len(groups) > 0 {
		c.opts.Logger.WithField("groups", len(groups)).Infof("Finished unloading %s", p.Partition)
	}
}

// disownLocked forgets all that is here of p. It requires mu.
func (p *partition) disownLocked() {
	if p.owner == loading {
		p.endLoad()
	}
	p.owner, p.groups, p.txns = elsewhere, nil, txns{}
}

// Pauses between attempts to load a partition that cannot be read.
const (
	firstLoadPause = 100 * time.Millisecond
	lastLoadPause  = 30 * time.Second
)

// load reads p's groups under a leader epoch, and owns them then; ctx ends when p is lost. While it cannot, requests are
// told to come again, and it tries anew; Kafka serves the partition as if it were empty, and loses by that what its groups
// have committed.
func (c *Coordinator) load(ctx context.Context, p *partition, epoch int32) {
	log := c.opts.Logger.WithField("partition", p.Index).WithField("epoch", epoch)
	for pause := firstLoadPause; !c.tryLoad(ctx, p, log); pause = min(2*pause, lastLoadPause) {
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// tryLoad reads p's groups. It reports whether that is settled: p is owned, lost, or stays unowned, because its log directory
// has failed, and another replica will lead.
func (c *Coordinator) tryLoad(ctx context.Context, p *partition, log logrus.FieldLogger) bool {
	select {
	case c.loads <- struct{}{}:
		defer func() { <-c.loads }()
	case <-ctx.Done():
		return true
	}
	started := time.Now()
	groups, records, err := c.read(ctx, p)
	if ctx.Err() != nil {
		return true
	}
	if err != nil {
		log.WithError(err).Errorf("Error loading offsets from %s", p.Partition)
		return p.notLoaded(ctx, err)
	}
	if c.loaded(ctx, p, groups) {
		log.WithField("groups", len(groups)).WithField("records", records).
			WithField("took", time.Since(started).Round(time.Millisecond)).Infof("Finished loading offsets and group metadata from %s", p.Partition)
	}
	return true
}

// notLoaded takes note that p could not be read, and reports whether it is not to be tried again.
func (p *partition) notLoaded(ctx context.Context, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return true
	case errors.Is(err, storage.ErrStorage):
		p.disownLocked()
		return true
	}
	p.txns.ended = nil // their markers lie in what is read next time
	return false
}

// loaded takes what was read over, unless p was lost meanwhile: then it reports false.
func (c *Coordinator) loaded(ctx context.Context, p *partition, groups map[string]*group.Group) bool {
	now := time.Now()
	p.mu.Lock()
	if ctx.Err() != nil {
		p.mu.Unlock()
		return false
	}
	p.owner, p.groups = owned, make(map[string]*entry, len(groups))
	begun := make(map[*entry]work, len(groups))
	for id, g := range groups {
		e := &entry{Group: g}
		p.groups[id] = e
		g.Begin(now)
		for _, producer := range g.Producers() {
			p.txns.addLocked(producer, e)
		}
		begun[e] = c.settleLocked(p, e)
	}
	p.endWhatEndedLocked()
	p.mu.Unlock()
	for e, w := range begun {
		c.act(p, e, w)
	}
	return true
}

// read makes the groups of p's log.
func (c *Coordinator) read(ctx context.Context, p *partition) (groups map[string]*group.Group, records int, err error) {
	r, err := c.opts.Replicas.Partition(p.Partition)
	if err != nil {
		return nil, 0, err
	}
	ahead := newReadAhead(r, c.opts.LoadBufferBytes)
	defer ahead.Close()
	reader := &reader{loading: group.NewLoading(&c.opts.Groups), coordinator: c, partition: p, now: time.Now()}
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		batches, err := ahead.next()
		if err != nil {
			return nil, 0, err
		}
		if len(batches) == 0 {
			return reader.loading.Groups(time.Now()), reader.records, nil
		}
		if err := reader.chunk(batches); err != nil {
			return nil, 0, err
		}
	}
}
