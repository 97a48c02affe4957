package storage

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// survive compares what was found after a crash with the model, and has the model say what was found.
func (r *crashRun) survive() error {
	if err := errors.Join(r.checkDirs(), r.checkCheckpoints(), r.checkOther()); err != nil {
		return err
	}
	if start := r.l.StartOffset(); start > r.startMost && !r.removing {
		return fmt.Errorf("log starts at %d, never started behind %d", start, r.startMost)
	}
	if m := &r.model; r.stopped && (r.l.StartOffset() != m.start || r.l.EndOffset() != m.end || r.l.HighWatermark() != m.hw) {
		return fmt.Errorf("log %d to %d, high watermark %d; when it was stopped cleanly %d to %d, %d",
			r.l.StartOffset(), r.l.EndOffset(), r.l.HighWatermark(), m.start, m.end, m.hw)
	}
	if r.stopped || min(r.before.flushed, r.model.flushed) > r.found {
		r.ghosts = nil
	}
	batches, err := readBatches(r.l, r.l.StartOffset(), r.l.EndOffset())
	if err != nil {
		return err
	}
	for i := 1; i < len(batches); i++ {
		if batches[i].LeaderEpoch() < batches[i-1].LeaderEpoch() {
			return fmt.Errorf("the batch at %d is of epoch %d, the one before of %d", batches[i].BaseOffset(), batches[i].LeaderEpoch(), batches[i-1].LeaderEpoch())
		}
	}
	for _, m := range []*model{&r.before, &r.model} {
		if m.flushed <= m.start {
			m.flushed = 0 // nothing is left; a kill may have left it so, but not durably
		}
	}
	var errs error
	for _, m := range []model{r.before, r.model} {
		survived, err := r.survived(r.haunted(m, batches))
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		survived.flushed = min(r.before.flushed, r.model.flushed, survived.end)
		if !r.kept {
			survived.flushed = survived.end
		}
		survived.epoch = max(r.before.epoch, r.model.epoch) + 1
		r.ghosts = slices.DeleteFunc(slices.Concat(r.ghosts, r.before.batches, r.model.batches), survived.has)
		r.model, r.named = survived, true
		return nil
	}
	return errs
}

// has reports whether b is a batch of the model.
func (m *model) has(b record.Batch) bool {
	return slices.ContainsFunc(m.batches, func(other record.Batch) bool { return bytes.Equal(b, other) })
}

// haunted returns m with what a power loss has brought back at the end of the log.
func (r *crashRun) haunted(m model, batches []record.Batch) *model {
	n := len(batches)
	for n > 0 && !r.kept && !m.has(batches[n-1]) && slices.ContainsFunc(r.ghosts, func(g record.Batch) bool { return bytes.Equal(g, batches[n-1]) }) {
		n--
	}
	m = m.clone()
	if n < len(batches) {
		if first := batches[n].BaseOffset(); first < m.end {
			m.truncate(first)
		}
		m.batches = append(m.batches, batches[n:]...)
		m.end = r.l.EndOffset()
	}
	// Nothing of it was durable, nor that a start, which was seen since power was lost, was given up with all records.
	if r.clean == nil && !r.kept && m.flushed == 0 {
		m.start = max(m.start, r.l.StartOffset())
	}
	// Of a segment nothing may be left but where it began, which is a gap if it is one that was cut off.
	start, end := r.l.StartOffset(), r.l.EndOffset()
	if empty := len(r.l.Segments()) > 0 && r.l.active().Size() == 0; !empty || r.kept {
		return &m
	}
	switch {
	case r.clean != nil && len(r.ghosts) > 0:
		m.end = max(m.end, end)
	case r.clean == nil && m.flushed == 0 && start == end: // a removal of all records that a kill has ended, or its undoing
		m.start, m.end = max(m.start, start), max(m.end, end)
	}
	return &m
}

// survived returns what is left of m, or what is wrong with that.
func (r *crashRun) survived(m *model) (model, error) {
	if r.clean != nil {
		least := max(min(r.before.flushed, r.model.flushed), r.l.RecoveryPoint())
		if r.kept {
			least = min(r.before.end, r.model.end)
		}
		if end := r.l.EndOffset(); end < least && !slices.ContainsFunc(m.batches, func(b record.Batch) bool { return b.NextOffset() > end && b.BaseOffset() < least }) {
			least = end // there is but a gap up to what was flushed
		}
		left, err := r.clean.survives(r.l, m, least)
		if err != nil {
			return model{}, err
		}
		left.hw = r.l.SetHighWatermark(left.hw) // nobody truncates what was cleaned: that was replicated
		return *left, nil
	}
	if err := checkSurvivor(r.l, m, r.workload, r.kept); err != nil {
		return model{}, err
	}
	left := m.clone()
	if end := r.l.EndOffset(); end < left.end {
		left.truncate(end)
	}
	left.start, left.hw = r.l.StartOffset(), r.l.HighWatermark()
	return left, nil
}

// look compares the log with the model while nothing is in doubt.
func (r *crashRun) look() error {
	if err := errors.Join(r.agree(), r.checkDirs(), r.checkCheckpoints(), r.checkOther()); err != nil {
		return err
	}
	if r.clean != nil {
		return r.clean.check(r.l, &r.model)
	}
	return checkLog(r.l, &r.model)
}

// checkDirs requires one live replica, at most one that is to take its place, and nothing of a swap or a promotion.
func (r *crashRun) checkDirs() error {
	count := map[dirKind]int{}
	for _, d := range r.dirs {
		if marked, _ := vfs.Exists(r.mem, filepath.Join(d, checkpoint.CleanShutdown)); marked {
			return fmt.Errorf("%s is marked as cleanly stopped while it is in use", d)
		}
		entries, err := r.mem.ReadDir(d)
		if err != nil {
			return err
		}
		for _, e := range entries {
			p, kind, err := parseDirName(e.Name)
			if !e.Dir || err != nil || p != orders {
				continue
			}
			count[kind]++
			if marked, _ := vfs.Exists(r.mem, filepath.Join(d, e.Name, promotionMark)); marked && kind == dirLive {
				return fmt.Errorf("%s in %s has a mark still", e.Name, d)
			}
		}
	}
	if count[dirLive] != 1 || count[dirFuture] > 1 {
		return fmt.Errorf("%d live replicas, %d to take their place", count[dirLive], count[dirFuture])
	}
	names, err := listDir(r.mem, r.l.Path())
	for _, name := range names {
		if suffix := filepath.Ext(name); suffix == segment.CleanedSuffix || suffix == segment.SwapSuffix {
			return fmt.Errorf("left over: %s", name)
		}
	}
	return err
}

func listDir(fsys vfs.FS, dir string) (names []string, err error) {
	entries, err := fsys.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, err
}

// checkCheckpoints requires that nothing on disk speaks of what is behind the end of the log: that would come true once the log has
// grown.
func (r *crashRun) checkCheckpoints() error {
	logs := []*Log{r.l, r.m.Future(orders), r.m.Log(other)}
	for _, l := range slices.DeleteFunc(logs, func(l *Log) bool { return l == nil }) {
		for _, name := range []string{checkpoint.RecoveryPoints, checkpoint.LogStarts, checkpoint.HighWatermarks, checkpoint.Cleaner} {
			offsets, err := checkpoint.ReadOffsets(r.mem, filepath.Join(l.Dir(), name))
			if err != nil {
				return err
			}
			if offset := offsets[l.Partition()]; offset > l.EndOffset() {
				return fmt.Errorf("%s of %s has %d for %s, which ends at %d", name, l.Dir(), offset, l.Path(), l.EndOffset())
			}
		}
	}
	return nil
}

// checkOther requires that what was flushed of the other log is there.
func (r *crashRun) checkOther() error {
	l := r.m.Log(other)
	switch {
	case l == nil && r.otherLeast > 0:
		return errors.New("the other log is gone")
	case l == nil:
		return nil
	case l.EndOffset() < r.otherLeast:
		return fmt.Errorf("the other log ends at %d, %d was safe", l.EndOffset(), r.otherLeast)
	}
	batches, err := readBatches(l, l.StartOffset(), l.EndOffset())
	if want := l.EndOffset() - l.StartOffset(); err == nil && r.clean == nil && int64(len(batches)) != want {
		err = fmt.Errorf("%d batches in %d to %d of the other log", len(batches), l.StartOffset(), l.EndOffset())
	}
	return err
}

// alignFuture cuts what the copy of a move has and the log has not, as the owner of the replica does by the leader epochs. Of a
// compacted log that may have lost a batch in between they do not tell.
func (r *crashRun) alignFuture() error {
	future := r.m.Future(orders)
	if future == nil {
		return nil
	}
	forgotten := r.model.end // records before it the model does not know, since all were removed
	if len(r.model.batches) > 0 {
		forgotten = r.model.batches[0].BaseOffset()
	}
	if r.clean != nil || future.StartOffset() < forgotten {
		return r.m.DeleteFuture(orders)
	}
	for {
		latest, ok := future.LatestEpoch()
		if !ok {
			return future.TruncateTo(min(future.EndOffset(), r.l.EndOffset()))
		}
		found, end, ok := r.l.EpochEndOffset(latest)
		if !ok {
			return future.TruncateFullyAndStartAt(r.l.StartOffset())
		}
		own, ownEnd, ok := future.EpochEndOffset(found)
		if !ok {
			return future.TruncateFullyAndStartAt(r.l.StartOffset())
		}
		err := future.TruncateTo(min(future.EndOffset(), end, ownEnd))
		if now, ok := future.LatestEpoch(); err != nil || own == found && ok && now == latest || !ok {
			return err
		}
	}
}
