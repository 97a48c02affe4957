package storage

import (
	"fmt"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/epoch"
)

// LatestEpoch returns the last leader epoch in the log's epoch cache; false if there is none.
func (l *Log) LatestEpoch() (int32, bool) {
	e, ok := l.epochs.Latest()
	return e.Epoch, ok
}

// EpochEndOffset returns the largest known epoch that is <= epoch and the offset at which it ends;
// false if the log cannot tell (KIP-101, KIP-279).
func (l *Log) EpochEndOffset(leaderEpoch int32) (found int32, end int64, ok bool) {
	found, end = l.epochs.EndOffsetFor(leaderEpoch, l.end.Load())
	return found, end, found != epoch.Undefined
}

// EpochAt returns the leader epoch that the record at offset was written under, -1 if not known.
func (l *Log) EpochAt(offset int64) int32 { return l.epochs.EpochAt(offset) }

// AssignEpoch records that epoch begins at offset start; a new leader calls it with its end offset.
func (l *Log) AssignEpoch(leaderEpoch int32, start int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	if err := l.assignEpochLocked(epoch.Entry{Epoch: leaderEpoch, Start: start}); err != nil {
		return fmt.Errorf("log %s: %w", l.partition, err)
	}
	l.queueLocked()
	return nil
}

// assignEpochLocked is AssignEpoch without what makes it durable. It requires mu.
func (l *Log) assignEpochLocked(e epoch.Entry) error {
	changed, err := l.epochs.Assign(e.Epoch, e.Start)
	if changed {
		l.mu.changes++
	}
	return err
}

// clearEpochsLocked forgets the leader epochs. It requires mu.
func (l *Log) clearEpochsLocked() {
	if l.epochs.Clear() {
		l.mu.changes++
	}
}

// noteEpochLocked notes the leader epoch of a batch; the old formats have none, and make what is
// known useless (KIP-101). It requires mu.
func (l *Log) noteEpochLocked(b record.Batch) error {
	if b.Magic() < record.MagicV2 {
		l.clearEpochsLocked()
		return nil
	}
	if b.LeaderEpoch() < 0 {
		return nil // written before KIP-101 by a broker that knew no epochs
	}
	return l.assignEpochLocked(epoch.Entry{Epoch: b.LeaderEpoch(), Start: b.BaseOffset()})
}
