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
	if err := l.epochs.Assign(leaderEpoch, start); err != nil {
		return fmt.Errorf("log %s: %w", l.partition, err)
	}
	l.queueLocked()
	return nil
}

// setEpochs makes entries the log's leader epochs. The cache calls back whenever they change.
func (l *Log) setEpochs(entries []epoch.Entry) error {
	var err error
	l.epochs, err = epoch.NewCache(entries, func([]epoch.Entry) error {
		l.mu.changes++
		return nil
	})
	return err
}

// assignEpochLocked notes the leader epoch of a batch; the old formats have none, and make what is
// known useless (KIP-101). It requires mu.
func (l *Log) assignEpochLocked(b record.Batch) error {
	if b.Magic() < record.MagicV2 {
		return l.epochs.Clear()
	}
	if b.LeaderEpoch() < 0 {
		return nil // written before KIP-101 by a broker that knew no epochs
	}
	return l.epochs.Assign(b.LeaderEpoch(), b.BaseOffset())
}
