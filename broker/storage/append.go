package storage

import (
	"fmt"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
)

// AppendLeader is AppendLeaderAll of one Append. The error is its Err.
func (l *Log) AppendLeader(records []byte, o AppendOptions) (Appended, error) {
	one := [1]Append{{Records: records, Options: o}}
	l.AppendLeaderAll(one[:])
	return one[0].Done, one[0].Err
}

// Append is one of the appends that AppendLeaderAll does.
type Append struct {
	// Records are changed in place, and belong to the caller again when AppendLeaderAll returns.
	Records []byte
	Options AppendOptions

	// Done and Err are what has become of it. Errors: record's, producer's, ErrRecordListTooLarge,
	// ErrStorage, ErrClosed. A duplicate of one of the last batches of its producer is not an error
	// (Appended.Duplicate).
	Done Appended
	Err  error

	valid record.Validated
}

// AppendLeaderAll validates records, gives them offsets and appends them, in order and each as if it
// were alone; those that can be written together are, in one write, which costs the file system much
// less than several. What one is refused for does not keep out the next.
func (l *Log) AppendLeaderAll(appends []Append) {
	c := l.config.Load()
	for i := range appends {
		a := &appends[i]
		a.valid, a.Err = c.Policy.Validate(a.Records, a.Options.Origin, a.Options.Now)
		if a.Err == nil {
			a.Err = l.checkSize(c, &a.valid)
		}
		a.Done = l.nothing()
	}
	l.mu.Lock()
	for rest := appends; len(rest) > 0; {
		rest = rest[l.appendGroupLocked(c, rest):]
	}
	l.mu.Unlock()
	if err := l.flushIfDue(c); err != nil {
		for i := range appends {
			if appends[i].Err == nil {
				appends[i].Err = err
			}
		}
	}
}

// nothing is what an append did that wrote nothing.
func (l *Log) nothing() Appended {
	return Appended{First: -1, Last: -1, AppendTime: -1, LogStart: l.start.Load(), LogEnd: l.end.Load()}
}

func (l *Log) checkSize(c *LogConfig, v *record.Validated) error {
	if len(v.Records) > c.SegmentBytes {
		return fmt.Errorf("%w: message batch size is %d bytes in append to partition %s, which exceeds the maximum configured segment size of %d",
			ErrRecordListTooLarge, len(v.Records), l.partition, c.SegmentBytes)
	}
	return nil
}

// appendGroupLocked does the first of appends, and those behind it that can be written with it. It
// returns how many it has dealt with, at least one. It requires mu.
//
// Producers are checked before anything is touched, so that a refused or repeated batch leaves no
// trace: no epoch, no roll. What a batch is refused for may be that the one before it, with which it
// would be written, is not in the log yet; so the group ends there, and the batch is looked at again
// when the group is written.
func (l *Log) appendGroupLocked(c *LogConfig, appends []Append) int {
	if err := l.usableLocked(); err != nil {
		appends[0].refuse(err)
		return 1
	}
	pending := l.mu.producers.Prepare(appends[0].Options.Origin, appends[0].Options.VerifyTransaction)
	end, n := l.end.Load(), 0
	var g group
	for ; n < len(appends); n++ {
		a := &appends[n]
		if !a.written() {
			continue
		}
		a.valid.Assign(end, a.Options.Epoch) // first: whether it may join depends on its offsets
		if len(appends) > 1 && !l.mayJoinLocked(c, &g, a) {
			break
		}
		first, dup, err := addAll(pending, a)
		if err == nil && !dup {
			end = a.valid.LastOffset + 1
			g.add(a)
			continue
		}
		if g.appends > 0 {
			pending = l.prepareAgainLocked(appends[:n])
			break
		}
		if dup {
			a.Done = l.nothing()
			a.Done.First, a.Done.Last, a.Done.AppendTime, a.Done.Duplicate = first.FirstOffset(), first.LastOffset, first.Timestamp, true
			return n + 1
		}
		a.refuse(err)
		return n + 1
	}
	if g.appends > 0 {
		l.writeGroupLocked(c, appends[:n], &g, pending)
	}
	return n
}

// refuse notes why a is not in the log, unless that is known.
func (a *Append) refuse(err error) {
	if a.Err == nil {
		a.Err = err
	}
}

// addAll adds the batches of a to pending. See producer.Append.Add.
func addAll(pending *producer.Append, a *Append) (first producer.Batch, dup bool, err error) {
	for rest := a.valid.Records; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil {
			return first, false, err
		}
		if first, dup, err = pending.Add(b, a.Options.Guard); err != nil || dup {
			return first, dup, err
		}
		rest = next
	}
	pending.Next()
	return first, false, nil
}

// prepareAgainLocked checks again what was found good, now without what was tried behind it. It
// requires mu.
func (l *Log) prepareAgainLocked(appends []Append) *producer.Append {
	pending := l.mu.producers.Prepare(appends[0].Options.Origin, appends[0].Options.VerifyTransaction)
	for i := range appends {
		if a := &appends[i]; a.written() {
			_, _, err := addAll(pending, a)
			a.refuse(err) // cannot be: it was added to the same state before
		}
	}
	return pending
}

// written reports whether a has something to write, and is not refused.
func (a *Append) written() bool { return a.Err == nil && len(a.valid.Records) > 0 }

func (l *Log) appended(v *record.Validated) Appended {
	return Appended{
		First: v.FirstOffset, Last: v.LastOffset, AppendTime: v.AppendTime,
		LogStart: l.start.Load(), LogEnd: l.end.Load(),
		Bytes: len(v.Records), Records: v.Count, Converted: v.Converted,
	}
}
