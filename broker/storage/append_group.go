package storage

import (
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
)

// groupMax is how many appends are written at once.
const groupMax = 32

// group is what is known of appends that are written together.
type group struct {
	first, last *Append
	appends     int
	bytes       int
	alone       bool // the first append begins a segment: only then is known whether that takes another
}

func (g *group) add(a *Append) {
	if g.first == nil {
		g.first = a
	}
	g.last = a
	g.appends++
	g.bytes += len(a.valid.Records)
}

// mayJoinLocked reports whether a can be written together with the group before it: nothing in between
// may begin a new segment. Its offsets are assigned. It requires mu.
func (l *Log) mayJoinLocked(c *LogConfig, g *group, a *Append) bool {
	if g.alone {
		return false
	}
	if len(*l.segments.Load()) == 0 || l.active().Size() == 0 {
		g.alone = true
		return true
	}
	due, err := l.rollDueLocked(c, &a.valid, g.bytes, a.Options.Now)
	if g.appends == 0 {
		g.alone = due || err != nil // an error is met again when a is written
		return true
	}
	o, f := &a.Options, &g.first.Options
	return err == nil && !due && g.appends < groupMax &&
		o.Origin == f.Origin && o.VerifyTransaction == f.VerifyTransaction
}

// writeGroupLocked writes those of appends that are not refused, which are g's. It requires mu.
func (l *Log) writeGroupLocked(c *LogConfig, appends []Append, g *group, pending *producer.Append) {
	l.mu.group = l.mu.group[:0]
	for i := range appends {
		if appends[i].written() {
			l.mu.group = append(l.mu.group, appends[i].valid.Records)
		}
	}
	err := l.writeLocked(c, &g.first.valid, &g.last.valid, pending, g.first.Options.Now)
	for i := range appends {
		switch a := &appends[i]; {
		case !a.written():
		case err != nil:
			a.Err = err
		default:
			a.Done = l.appended(&a.valid)
		}
	}
}

// writeLocked appends the batches in mu.group, whose offsets are final and of which first and last are
// the first and the last ones, and then applies what they change in the producer state. It requires
// mu. An error means that the log's directory has failed.
func (l *Log) writeLocked(c *LogConfig, first, last *record.Validated, pending *producer.Append, now int64) error {
	defer l.dropGroupLocked()
	for _, records := range l.mu.group {
		if err := record.Each(records, l.noteEpochLocked); err != nil {
			return l.failed("record the leader epoch", err)
		}
	}
	l.queueLocked()
	if err := l.createFirstLocked(); err != nil {
		return err
	}
	if err := l.rollIfDueLocked(c, first, now); err != nil {
		return err
	}
	active := l.active()
	if err := active.Append(l.mu.group...); err != nil {
		return l.failed("append", err)
	}
	if err := l.commitProducersLocked(active, pending); err != nil {
		return l.failed("write the transaction index", err)
	}
	l.mu.producers.SetEnd(last.LastOffset + 1)
	l.updateUnstableLocked() // before the end: nobody may read the beginning of a transaction as stable
	l.end.Store(last.LastOffset + 1)
	return nil
}

// dropGroupLocked lets go of what was written. It requires mu.
func (l *Log) dropGroupLocked() {
	clear(l.mu.group)
	l.mu.group = l.mu.group[:0]
}
