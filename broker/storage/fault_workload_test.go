package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// A faultRun is a workload on two log directories, one of which may fail. Beside what workload does, and cleanWorkload
// if the log is compacted, it reads as clients and followers do, moves the log between the directories, creates and
// deletes another log, and kills the broker.
type faultRun struct {
	*workload
	clean  *cleanWorkload // nil: the log is not compacted
	in     *injector
	faulty *vfs.Faulty
	mem    *vfs.Mem
	failed []string // directories that Options.OnDirFailure was called with, since the last start
}

var other = topic.Partition{Topic: "other", Index: 0}

// newFaultRun makes a run that depends on nothing but its seed and the fault.
func newFaultRun(t testing.TB, seed uint64, in *injector) *faultRun {
	r := &faultRun{in: in, mem: vfs.NewMem()}
	r.faulty = vfs.NewFaulty(r.mem, in.hook).AskReads()
	if seed%2 == 0 {
		r.workload = newWorkload(t, seed, r.faulty)
	} else {
		r.clean = newCleanWorkload(t, seed, r.faulty)
		r.workload = r.clean.workload
	}
	r.dirs = []string{"a", "b"}
	few := r.rng.IntN(2) == 0 // so that files are opened again and again
	r.options = func(o *Options) {
		r.failed = nil
		if few {
			o.MaxOpenFiles = 2
		}
		o.OnDirFailure = func(dir string, _ error) { r.failed = append(r.failed, dir) }
	}
	return r
}

// run does n steps, or ends with the first error or when a directory has failed.
func (r *faultRun) run(n int) error {
	r.before = r.model.clone()
	err := r.open()
	if err == nil {
		err = r.create()
	}
	for i := 0; i < n && err == nil && !r.anyOffline(); i++ {
		r.clock.now += 30
		r.before, r.removing = r.model.clone(), false
		if err = r.oneStep(); err == nil && !r.anyOffline() {
			err = r.agree()
		}
	}
	if err == nil && !r.anyOffline() {
		r.checkpointAll() // finds out that a directory is gone
	}
	return err
}

func (r *faultRun) create() error {
	if r.l != nil || r.anyOffline() {
		return nil
	}
	c := crashConfig()
	if r.clean != nil {
		c = compactedCrashConfig()
	}
	var err error
	r.l, err = r.m.Create(orders, CreateOptions{New: true, Config: &c, TopicID: topic.ID{1}, Dir: "a"})
	return err
}

func (r *faultRun) anyOffline() bool { return r.m != nil && r.m.anyOffline() }

// offline reports whether the directory that can fail has.
func (r *faultRun) offline() bool {
	return r.m != nil && slices.ContainsFunc(r.m.dirs, func(d *dir) bool { return d.path == r.in.root && d.offline.Load() })
}

func (r *faultRun) oneStep() error {
	switch n := r.rng.IntN(100); {
	case n < 8:
		return r.fetch()
	case n < 18:
		return r.moveOn()
	case n < 22:
		return r.otherLog()
	case n < 25:
		return r.kill()
	case n < 30:
		return r.tasks()
	}
	log, cuts := r.l, r.l.mu.cuts
	step := r.workload.step
	if r.clean != nil {
		step = r.clean.step
	}
	err := step()
	switch {
	case err != nil && r.anyOffline() && r.m.Log(orders) == nil:
		return ErrStorage // it has been started again, and the log is on the directory that has failed
	case err == nil && r.l == log && r.l.mu.cuts != cuts:
		return r.m.DeleteFuture(orders) // the owner of the replica truncates both
	}
	return err
}

// fetch reads all of the log, and looks for timestamps and transactions.
func (r *faultRun) fetch() error {
	byOffset := map[int64]record.Batch{}
	for _, b := range r.model.batches {
		byOffset[b.BaseOffset()] = b
	}
	end := r.l.EndOffset()
	for at := r.l.StartOffset(); at < end; {
		res, err := r.l.Read(at, 1+r.rng.IntN(1000), end, true)
		if err != nil || res.Section == nil {
			return err
		}
		data, err := r.readSection(res.Section)
		if err != nil {
			return nil // the connection is closed, as in Kafka
		}
		err = record.Each(data, func(b record.Batch) error {
			at = b.NextOffset()
			if want := byOffset[b.BaseOffset()]; r.clean == nil && !bytes.Equal(b, want) {
				return fmt.Errorf("%w: read another batch at %d", errWorkload, b.BaseOffset())
			}
			return b.Check()
		})
		if err != nil {
			return fmt.Errorf("%w: read %w", errWorkload, err)
		}
		if _, err := r.l.AbortedTransactions(at, int64(len(data)), end); err != nil {
			return err
		}
	}
	for _, look := range []func() error{
		func() error { _, _, err := r.l.LookupTimestamp(r.now - r.rng.Int64N(1000)); return err },
		func() error { _, _, err := r.l.MaxTimestamp(); return err },
		func() error { _, err := r.l.OffsetsBefore(r.now, 3); return err },
	} {
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

// readSection returns what is in a section, and releases it. These reads are the ones that may fail.
func (r *faultRun) readSection(s request.Section) ([]byte, error) {
	defer s.Release()
	r.in.setReading(true)
	defer r.in.setReading(false)
	data := make([]byte, s.Size())
	if _, err := s.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return data, nil
}

// stopAtOnce ends the process, and leaves what a kill does.
func (r *faultRun) stopAtOnce() {
	for _, d := range r.m.dirs {
		d.clean = false // or the directory would be marked as clean once more
	}
	r.m.abandon()
}

// kill ends the process and starts another one.
func (r *faultRun) kill() error {
	r.stopAtOnce()
	if err := r.open(); err != nil {
		return err
	}
	if r.l == nil {
		if r.anyOffline() {
			return ErrStorage
		}
		return fmt.Errorf("%w: the log is gone", errWorkload)
	}
	if r.l.StartOffset() > r.model.start || r.l.HighWatermark() > r.model.hw {
		return fmt.Errorf("%w: log starts at %d, high watermark %d, model %d and %d", errWorkload,
			r.l.StartOffset(), r.l.HighWatermark(), r.model.start, r.model.hw)
	}
	r.model.start = r.l.StartOffset()
	if r.clean != nil { // nobody truncates what was cleaned: that was replicated
		r.l.SetHighWatermark(r.model.hw)
	}
	r.model.hw = r.l.HighWatermark()
	return nil
}

// moveOn does the next thing of a move to the other directory.
func (r *faultRun) moveOn() error {
	future := r.m.Future(orders)
	switch n := r.rng.IntN(8); {
	case future == nil:
		to := "a"
		if r.l.Dir() == "a" {
			to = "b"
		}
		_, err := r.m.CreateFuture(orders, absolute(r.t, to))
		return err
	case n == 0:
		return r.m.DeleteFuture(orders)
	case n < 3:
		_, err := r.copyTo(future, 1)
		return err
	}
	for range 2 { // the second time what has come since
		whole, err := r.copyTo(future, 1<<20)
		if err != nil || !whole {
			return err
		}
		if err := r.m.PreparePromotion(orders); err != nil {
			return err
		}
	}
	moved, err := r.m.Promote(orders)
	if err == nil {
		r.l = moved
	}
	return err
}

// copyTo copies to a future log what it lacks, in at most so many steps, and reports whether it has all.
func (r *faultRun) copyTo(future *Log, steps int) (whole bool, err error) {
	if future.EndOffset() < r.l.StartOffset() {
		if err := future.TruncateFullyAndStartAt(r.l.StartOffset()); err != nil {
			return false, err
		}
	}
	for ; future.EndOffset() < r.l.EndOffset(); steps-- {
		res, err := r.l.Read(future.EndOffset(), 500, r.l.EndOffset(), true)
		if err != nil || res.Section == nil || steps == 0 {
			if res.Section != nil {
				res.Section.Release()
			}
			return false, err
		}
		data, err := r.readSection(res.Section)
		if err != nil {
			return false, nil // tried again later
		}
		if _, err := future.AppendFollower(data); err != nil {
			return false, err
		}
	}
	future.SetHighWatermark(r.l.HighWatermark())
	_, err = future.IncrementStartOffset(min(r.l.StartOffset(), future.HighWatermark()))
	return err == nil && future.StartOffset() == r.l.StartOffset(), err
}

// otherLog creates, fills, or deletes a log beside the one that is looked at.
func (r *faultRun) otherLog() error {
	l := r.m.Log(other)
	if l == nil {
		c := crashConfig()
		_, err := r.m.Create(other, CreateOptions{New: true, Config: &c})
		return err
	}
	if r.rng.IntN(3) == 0 {
		err := r.m.Delete(other)
		r.m.env.sched.runDue(context.Background())
		return err
	}
	_, err := l.AppendLeader(batch(r.t, batchOpts{size: 400, timestamp: testNow}), AppendOptions{Now: testNow})
	if err == nil {
		l.SetHighWatermark(l.EndOffset())
		err = l.Flush()
	}
	return err
}

// tasks does what the Manager does by itself now and then.
func (r *faultRun) tasks() error {
	before := r.l.RecoveryPoint()
	r.m.env.unsaved.save()
	r.m.env.flush.drain(context.Background())
	r.m.checkRetention()
	r.m.expireProducers()
	r.m.flushOld()
	r.m.env.sched.runDue(context.Background())
	if point := r.l.RecoveryPoint(); point > before {
		r.model.flushed = max(r.model.flushed, point)
	}
	r.checkpointAll()
	r.m.Dirs()
	return nil
}

func (r *faultRun) checkpointAll() {
	for _, f := range []func(*dir) error{(*dir).checkpointRecoveryPoints, (*dir).checkpointStarts} {
		r.m.eachDir(f)()
	}
	r.m.CheckpointHighWatermarks()
}

// background does all of it on a directory that has failed.
func (r *faultRun) background() {
	_ = r.tasks() // a failure is the directory's
	if r.clean != nil {
		cleanOnce(r.m)
	}
}

// faultSeed derives the seed of one run.
func faultSeed(seed uint64, kind, n int) (uint64, *rand.Rand) {
	rng := rand.New(rand.NewPCG(seed, uint64(kind)<<32|uint64(n)))
	return rng.Uint64(), rng
}

// explained reports whether err is what callers may see of a fault.
func explained(err error) bool {
	return err == nil || errors.Is(err, ErrStorage) || errors.Is(err, ErrClosed)
}
