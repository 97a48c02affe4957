package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A model is what a log should hold: every batch ever appended and not truncated, and how much of it
// may be lost, and how.
type model struct {
	batches []record.Batch // from the log's first record on, whatever has been deleted since
	start   int64
	end     int64
	flushed int64 // below it nothing may be lost in a crash
	hw      int64
	epoch   int32
}

func (m model) clone() model {
	m.batches = slices.Clone(m.batches)
	return m
}

// truncate cuts the model at a batch boundary.
func (m *model) truncate(offset int64) {
	m.batches = slices.DeleteFunc(m.batches, func(b record.Batch) bool { return b.BaseOffset() >= offset })
	m.start, m.end = min(m.start, offset), offset
	m.flushed, m.hw = min(m.flushed, offset), min(m.hw, offset)
}

// producers replays the model up to offset.
func (m *model) producers(offset int64) (*producer.State, []producer.CompletedTxn) {
	s := producer.New("model")
	var aborted []producer.CompletedTxn
	for _, b := range m.batches {
		if b.BaseOffset() >= offset {
			break
		}
		a := s.Prepare(record.Replication, false)
		if _, _, err := a.Add(b, 0); err != nil {
			panic(err)
		}
		_ = s.Commit(a, func(t producer.CompletedTxn) error {
			if t.Aborted {
				aborted = append(aborted, t)
			}
			return nil
		})
		s.SetEnd(b.NextOffset())
	}
	return s, aborted
}

// boundaries returns the offsets at which batches of [from, end) begin, and the end.
func (m *model) boundaries(from int64) []int64 {
	var offsets []int64
	for _, b := range m.batches {
		if b.BaseOffset() >= from {
			offsets = append(offsets, b.BaseOffset())
		}
	}
	return append(offsets, m.end)
}

// A workload drives one log, and its model, through everything that changes files. Equal seeds do the
// same. It starts no goroutine: what the Manager does in the background are steps of its own.
type workload struct {
	t    testing.TB
	rng  *rand.Rand
	fsys vfs.FS
	m    *Manager
	l    *Log

	model, before model // now, and before the step under way
	removing      bool  // the step under way removes everything
	now           int64 // timestamps of records

	dirs      []string       // nil: one
	options   func(*Options) // nil, or changes those of the Manager
	compacted bool           // the log is compacted, see clean_crash_test.go
	clock     clock          // of a Manager with a cleaner
}

func crashConfig() LogConfig {
	c := DefaultLogConfig()
	c.SegmentBytes = 1200
	c.IndexIntervalBytes = 200
	c.FileDeleteDelayMs = 0
	c.RetentionMs = -1
	return c
}

func newWorkload(t testing.TB, seed uint64, fsys vfs.FS) *workload {
	return &workload{t: t, rng: rand.New(rand.NewPCG(seed, 1)), fsys: fsys, now: testNow}
}

// errWorkload marks a step that went wrong in a way that no fault of the disk explains.
var errWorkload = errors.New("workload")

// run does n steps, or ends with the first error.
func (w *workload) run(n int) error {
	w.before = w.model.clone()
	if err := w.open(); err != nil {
		return err
	}
	if w.l == nil {
		c := crashConfig()
		l, err := w.m.Create(orders, CreateOptions{New: true, Config: &c, TopicID: [16]byte{1}})
		if err != nil {
			return err
		}
		w.l = l
	}
	for range n {
		w.before, w.removing = w.model.clone(), false
		if err := w.step(); err != nil {
			return err
		}
		if err := w.agree(); err != nil {
			return err
		}
	}
	w.before, w.removing = w.model.clone(), false
	return w.reopen()
}

func (w *workload) open() error {
	o := testOptions(w.fsys, w.dirs...)
	o.TopicConfig = func(string) LogConfig { return crashConfig() }
	if w.compacted {
		o.TopicConfig = func(string) LogConfig { return compactedCrashConfig() }
		o.Cleaner = &CleanerConfig{}
		o.Now = w.clock.time
	}
	if w.options != nil {
		w.options(&o)
	}
	var err error
	if w.m, err = open(o); err == nil {
		w.l = w.m.Log(orders)
	}
	return err
}

// agree checks the offsets after a step that succeeded.
func (w *workload) agree() error {
	if w.l.EndOffset() != w.model.end || w.l.StartOffset() != w.model.start {
		return fmt.Errorf("%w: log is %d to %d, model %d to %d", errWorkload,
			w.l.StartOffset(), w.l.EndOffset(), w.model.start, w.model.end)
	}
	return nil
}

func (w *workload) step() error {
	switch n := w.rng.IntN(100); {
	case n < 40:
		return w.appendLeader()
	case n < 48:
		return w.appendTxn()
	case n < 56:
		return w.appendFollower()
	case n < 62:
		w.model.hw = w.l.SetHighWatermark(w.pick(w.model.boundaries(w.model.hw)))
		return nil
	case n < 67:
		w.model.flushed = w.model.end
		return w.l.Flush()
	case n < 72:
		before := w.l.RecoveryPoint()
		if n%2 == 0 {
			w.m.env.unsaved.save()
		}
		w.m.env.flush.drain(context.Background())
		if point := w.l.RecoveryPoint(); point > before {
			w.model.flushed = max(w.model.flushed, point)
		}
		return w.l.online()
	case n < 77:
		w.model.epoch++
		return w.l.AssignEpoch(w.model.epoch, w.model.end)
	case n < 83:
		return w.truncate()
	case n < 85:
		return w.truncateFully()
	case n < 89:
		start := w.pick(w.model.boundaries(w.model.start))
		if start > w.model.hw {
			return nil
		}
		w.model.start = start
		_, err := w.l.IncrementStartOffset(start)
		return err
	case n < 92:
		return w.retention()
	case n < 97:
		return w.checkpoint(n)
	}
	return w.reopen()
}

func (w *workload) pick(offsets []int64) int64 { return offsets[w.rng.IntN(len(offsets))] }

// appendLeader appends the next batch of one of three idempotent producers, or of none.
func (w *workload) appendLeader() error {
	o := batchOpts{count: 1 + w.rng.IntN(4), timestamp: w.time(), size: w.rng.IntN(120)}
	if id := int64(w.rng.IntN(4)); id > 0 {
		o.producer = &record.ProducerInfo{ID: id, Epoch: 0, Sequence: w.nextSequence(id)}
	}
	return w.lead(batch(w.t, o), record.Client)
}

func (w *workload) nextSequence(id int64) int32 {
	for _, p := range w.l.Producers() {
		if p.ProducerID == id && (p.LastSequence < 0 || w.compacted) {
			return p.LastSequence + 1 // some of its records are gone, and the log was made anew from what is left
		}
	}
	s, _ := w.model.producers(w.model.end)
	e, ok := s.Entry(id)
	if !ok || len(e.Batches()) == 0 {
		return 0
	}
	return e.LastSequence() + 1
}

// appendTxn continues, commits or aborts the transaction of one of two producers.
func (w *workload) appendTxn() error {
	id := int64(10 + w.rng.IntN(2))
	s, _ := w.model.producers(w.model.end)
	if s.HasOpenTxn(id) && w.rng.IntN(2) == 0 {
		return w.lead(record.AppendMarker(nil, record.MarkerOptions{
			Marker: record.Marker{Commit: w.rng.IntN(2) == 0}, ProducerID: id, Timestamp: w.time(),
		}), record.Coordinator)
	}
	return w.lead(batch(w.t, batchOpts{
		count: 2, timestamp: w.time(), txn: true,
		producer: &record.ProducerInfo{ID: id, Sequence: w.nextSequence(id)},
	}), record.Client)
}

// time mostly goes on, and sometimes back.
func (w *workload) time() int64 {
	w.now += int64(w.rng.IntN(100)) - 10
	return w.now
}

func (w *workload) lead(data []byte, origin record.Origin) error {
	b := record.Batch(bytes.Clone(data))
	b.SetBaseOffset(w.model.end)
	b.SetLeaderEpoch(w.model.epoch)
	w.model.batches = append(w.model.batches, b)
	w.model.end = b.NextOffset()
	a, err := w.l.AppendLeader(data, AppendOptions{Epoch: w.model.epoch, Origin: origin, Now: testNow})
	if err == nil && (a.First != b.BaseOffset() || a.Last != b.LastOffset()) {
		err = fmt.Errorf("%w: appended %d to %d, expected %d to %d", errWorkload, a.First, a.Last, b.BaseOffset(), b.LastOffset())
	}
	return err
}

// appendFollower appends batches of a leader, perhaps of a new epoch.
func (w *workload) appendFollower() error {
	w.model.epoch += int32(w.rng.IntN(2))
	var data []byte
	for range 1 + w.rng.IntN(3) {
		b := record.Batch(batch(w.t, batchOpts{base: w.model.end, epoch: w.model.epoch, count: 1 + w.rng.IntN(3), timestamp: w.time()}))
		w.model.batches = append(w.model.batches, b)
		w.model.end = b.NextOffset()
		data = append(data, b...)
	}
	_, err := w.l.AppendFollower(data)
	return err
}

func (w *workload) truncate() error {
	offset := w.pick(w.model.boundaries(max(w.model.start, w.model.end-40)))
	w.model.truncate(offset)
	return w.l.TruncateTo(offset)
}

func (w *workload) truncateFully() error {
	offset := w.model.start + w.rng.Int64N(w.model.end-w.model.start+50)
	flushed := offset
	if w.model.flushed == 0 {
		flushed = 0 // not even the directory has been synced yet
	}
	w.model = model{start: offset, end: offset, flushed: flushed, hw: offset, epoch: w.model.epoch}
	w.removing = true
	return w.l.TruncateFullyAndStartAt(offset)
}

// retention deletes by size; what it does follows from the segments, so that the model asks the log.
func (w *workload) retention() error {
	c := crashConfig()
	c.RetentionBytes = 3000
	w.l.SetConfig(c)
	_, err := w.l.deleteOldSegments(testNow)
	w.l.SetConfig(crashConfig())
	w.model.start = w.l.StartOffset()
	if err == nil {
		w.m.env.sched.runDue(context.Background())
		err = w.l.online()
	}
	return err
}

func (w *workload) checkpoint(n int) error {
	d := w.l.dir
	switch n {
	case 92, 93:
		return d.checkpointRecoveryPoints()
	case 94:
		return d.checkpointStarts()
	}
	return d.checkpointHighWatermarks()
}

// reopen stops cleanly and starts again.
func (w *workload) reopen() error {
	if err := w.m.Close(); err != nil {
		return err
	}
	w.model.flushed = w.model.end
	w.before.flushed = w.model.end // whatever comes now, nothing may be lost any more
	err := w.open()
	if err == nil {
		if w.l == nil {
			return fmt.Errorf("%w: the log is gone after a clean stop", errWorkload)
		}
		if w.l.HighWatermark() != w.model.hw {
			return fmt.Errorf("%w: high watermark %d after a clean stop, was %d", errWorkload, w.l.HighWatermark(), w.model.hw)
		}
	}
	return err
}
