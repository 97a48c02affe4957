package coordinator

import (
	"errors"
	"time"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Elected makes this broker the coordinator of a partition's groups, under a leader epoch. It returns at once: until
// the partition is loaded, requests are told so. An epoch that is not news is ignored.
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
		return // it went on leading
	}
	p.owner, p.groups, p.txns = loading, nil, txns{}
	c.wg.Go(func() { c.load(p) })
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
	p.owner, p.groups, p.txns = elsewhere, nil, txns{}
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
		c.opts.Logger.WithField("partition", p.Index).WithField("groups", len(groups)).Info("unloaded groups")
	}
}

// errGivenUp ends a load that nobody waits for any more.
var errGivenUp = errors.New("given up")

// Pauses between attempts to load a partition that cannot be read.
const (
	firstLoadPause = 100 * time.Millisecond
	lastLoadPause  = 30 * time.Second
)

// load reads p's groups, and owns them then. While it cannot, requests are told to come again, and it tries anew; Kafka
// serves the partition as if it were empty, and loses by that what its groups have committed.
func (c *Coordinator) load(p *partition) {
	for pause := firstLoadPause; !c.tryLoad(p); pause = min(2*pause, lastLoadPause) {
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-c.ctx.Done():
			again.Stop()
			return
		}
	}
}

// tryLoad reads p's groups, again if the partition is lost and won meanwhile. It reports whether that is settled: p is owned, lost, or
// stays unowned, because its log directory has failed, and another replica will lead.
func (c *Coordinator) tryLoad(p *partition) bool {
	select {
	case c.loads <- struct{}{}:
		defer func() { <-c.loads }()
	case <-c.ctx.Done():
		return true
	}
	log := c.opts.Logger.WithField("partition", p.Index)
	started := time.Now()
	for {
		p.mu.Lock()
		epoch := p.epoch
		p.mu.Unlock()
		groups, records, err := c.read(p)
		switch {
		case c.ctx.Err() != nil || errors.Is(err, errGivenUp):
			return true
		case err != nil:
			log.WithError(err).Error("cannot load offsets and group metadata")
			if !errors.Is(err, storage.ErrStorage) {
				return !p.isLoading()
			}
		}
		if c.loaded(p, epoch, groups, err) {
			log.WithField("groups", len(groups)).WithField("records", records).WithField("epoch", epoch).
				WithField("took", time.Since(started).Round(time.Millisecond)).Info("loaded offsets and group metadata")
			return true
		}
	}
}

// loaded takes what was read over, unless the partition was lost meanwhile, or lost and won again: then it must be
// read anew, and loaded reports false.
func (c *Coordinator) loaded(p *partition, epoch int32, groups map[string]*group.Group, err error) bool {
	now := time.Now()
	p.mu.Lock()
	if p.owner != loading {
		p.mu.Unlock()
		return true
	}
	if p.epoch != epoch {
		p.mu.Unlock()
		return false
	}
	if err != nil {
		p.owner = elsewhere
		p.mu.Unlock()
		return true
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
func (c *Coordinator) read(p *partition) (groups map[string]*group.Group, records int, err error) {
	r, err := c.opts.Replicas.Partition(p.Partition)
	if err != nil {
		return nil, 0, err
	}
	ahead := newReadAhead(r, c.opts.LoadBufferBytes)
	defer ahead.Close()
	reader := &reader{loading: group.NewLoading(&c.opts.Groups), coordinator: c, partition: p, now: time.Now()}
	for {
		if c.ctx.Err() != nil || !p.isLoading() {
			return nil, 0, errGivenUp
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

func (p *partition) isLoading() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owner == loading
}
