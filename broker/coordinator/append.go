package coordinator

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/storage/producer"
)

// work is what is to be done about a group's effects once no lock is held.
type work struct {
	group.Effects
	written []written
}

// written is an append that was made, or failed.
type written struct {
	ticket int
	txn    *group.Txn // in which it is; nil: in none
	done   storage.Appended
	err    error
}

// settleLocked takes the effects of e, appends what is to be appended, sets its alarm, and forgets it if it is
// dead. It requires mu.
func (c *Coordinator) settleLocked(p *partition, e *entry) work {
	w := work{Effects: e.Take()}
	for i := range w.Appends {
		a := &w.Appends[i]
		if a.Txn != nil {
			p.txns.addLocked(a.Txn.ProducerID, e)
		}
		done, err := c.append(p, a)
		w.written = append(w.written, written{a.Ticket, a.Txn, done, err})
	}
	if e.State() == group.Dead {
		if p.groups[e.ID] == e {
			delete(p.groups, e.ID)
		}
	} else {
		c.setAlarmLocked(p, e)
	}
	return w
}

// act does what w says. It must be called without a lock.
func (c *Coordinator) act(p *partition, e *entry, w work) {
	for _, note := range w.Notes {
		c.opts.Logger.Info(note)
	}
	for _, a := range w.Joins {
		a.To.(func(group.Joined))(a.Joined)
	}
	for _, a := range w.Syncs {
		a.To.(func(group.Synced))(a.Synced)
	}
	for _, a := range w.Commits {
		a.To.(func([]int16))(a.Codes)
	}
	if len(w.written) > 0 {
		c.opts.Replicas.Appended(p.Partition)
	}
	for _, a := range w.written {
		c.await(p, e, a)
	}
}

// await tells the group of an append's outcome when that is known.
func (c *Coordinator) await(p *partition, e *entry, a written) {
	switch {
	case a.err != nil:
		c.opts.Logger.WithField("partition", p.Index).WithField("group", e.ID).WithError(a.err).Debug("append failed")
		c.appended(p, e, a, status.Code(a.err))
	case a.ticket == 0:
	case c.opts.RequiredAcks != -1:
		c.appended(p, e, a, 0)
	default:
		c.opts.Replicas.Produces.Wait(&delayed{c, p, e, a, 0}, time.Now().Add(c.opts.CommitTimeout), p.Partition)
	}
}

// appended is the event that an append has ended.
func (c *Coordinator) appended(p *partition, e *entry, a written, code int16) {
	if a.ticket == 0 {
		return
	}
	p.mu.Lock()
	e.Appended(a.ticket, a.done.First, code, time.Now())
	if a.txn != nil {
		p.txns.settledLocked(a.txn.ProducerID, e)
	}
	w := c.settleLocked(p, e)
	p.mu.Unlock()
	c.act(p, e, w)
}

// recordOverhead is about what a record takes besides its key and value.
const recordOverhead = 16

// append writes one batch. It requires mu: batches lie in the log in the order of the events.
func (c *Coordinator) append(p *partition, a *group.Append) (storage.Appended, error) {
	now := time.Now().UnixMilli()
	opts := record.BuilderOptions{Codec: c.opts.Codec, TimestampType: record.CreateTime}
	switch {
	case a.Txn != nil:
		opts.Producer, opts.Transactional = &record.ProducerInfo{ID: a.Txn.ProducerID, Epoch: a.Txn.Epoch}, true
	case a.Commit:
		// Kafka gives these batches a sequence although they have no producer.
		opts.Producer = &record.ProducerInfo{ID: record.NoProducerID, Epoch: record.NoProducerEpoch}
	}
	opts.SizeHint = record.HeaderSize
	for i := range a.Records {
		opts.SizeHint += recordOverhead + len(a.Records[i].Key) + len(a.Records[i].Value)
	}
	b := record.NewBuilder(record.MagicV2, opts)
	for i := range a.Records {
		if err := b.Append(record.Record{Timestamp: now, Key: a.Records[i].Key, Value: a.Records[i].Value}); err != nil {
			b.Discard()
			return storage.NothingAppended, fmt.Errorf("build a batch: %w", err)
		}
	}
	batch, err := b.Build(nil)
	if err != nil {
		return storage.NothingAppended, fmt.Errorf("build a batch: %w", err)
	}
	replica, err := c.opts.Replicas.Partition(p.Partition)
	if err != nil {
		return storage.NothingAppended, err
	}
	one := [1]storage.Append{{Records: batch, Options: storage.AppendOptions{Origin: record.Coordinator, Now: now}}}
	if a.Txn != nil && c.opts.Verifying() {
		one[0].Options.VerifyTransaction, one[0].Options.Guard = true, producer.Guard(a.Txn.Guard)
	}
	replica.AppendAll(one[:], c.opts.RequiredAcks == -1 && a.Ticket != 0)
	return one[0].Done, one[0].Err
}

// delayed is an append that waits for the in-sync replicas. It is a purgatory.Operation.
type delayed struct {
	c    *Coordinator
	p    *partition
	e    *entry
	a    written
	code int16
}

// TryComplete implements purgatory.Operation.
func (d *delayed) TryComplete() bool {
	r, err := d.c.opts.Replicas.Partition(d.p.Partition)
	committed := false
	if err == nil {
		committed, err = r.Committed(d.a.done.Last + 1)
	}
	if err != nil {
		d.code = status.Code(err)
		return true
	}
	return committed
}

// Finish implements purgatory.Operation.
func (d *delayed) Finish(expired bool) {
	if expired {
		d.code = kerr.RequestTimedOut.Code
	}
	d.c.appended(d.p, d.e, d.a, d.code)
}

// alarm rings when a group wants to hear of the time. It is a purgatory.Operation.
type alarm struct {
	c  *Coordinator
	p  *partition
	e  *entry
	at time.Time
}

// TryComplete implements purgatory.Operation.
func (*alarm) TryComplete() bool { return false }

// Finish implements purgatory.Operation. An alarm that another one has taken the place of does nothing.
func (a *alarm) Finish(bool) {
	a.p.mu.Lock()
	if !a.e.alarm.Equal(a.at) || a.c.ctx.Err() != nil {
		a.p.mu.Unlock()
		return
	}
	a.e.alarm = time.Time{}
	a.e.Tick(time.Now())
	w := a.c.settleLocked(a.p, a.e)
	a.p.mu.Unlock()
	a.c.act(a.p, a.e, w)
}

// setAlarmLocked sets an alarm if e wants one and none rings in time. It requires mu.
//
// A session that is prolonged moves the alarm of its group only when it rings: then the group looks for its next
// deadline. So a heartbeat costs no timer.
func (c *Coordinator) setAlarmLocked(p *partition, e *entry) {
	at := e.Alarm()
	if at.IsZero() || c.ctx.Err() != nil || !e.alarm.IsZero() && !at.Before(e.alarm) {
		return
	}
	e.alarm = at
	c.alarms.Wait(&alarm{c, p, e, at}, at)
}
