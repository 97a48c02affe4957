package storage

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// mostCrashes is how often a run of TestCrashesInARow crashes at most.
const mostCrashes = 6

// TestCrashesInARow has a broker crash three to six times: it is killed, which leaves all that was written, or the power
// goes, which leaves what was synced and anything of the rest. Each time it is started anew, unless it crashes while it
// starts, and goes on for some steps: appends, transactions, truncations, retention or compaction, moves to another
// directory. What one crash has left in doubt the next one may take, so that after each start everything is looked at:
//
//   - what was flushed is there, and after a kill all that was acknowledged; what was found after a power loss is durable;
//   - what is there was written, without a hole; offsets, timestamps, leader epochs, producers, aborted transactions and the
//     last stable offset are those of what is there; who reads a compacted log comes to what was written last;
//   - the replica is there once, and no checkpoint says of it what is not true.
//
// A start and a stop work on both directories at a time: a crash amid one may be another when it is repeated.
func TestCrashesInARow(t *testing.T) {
	campaign := seed.Of(t)
	for n := range max(1, campaignFaults()/4) {
		if *onlyFlag >= 0 && n != *onlyFlag {
			continue
		}
		runSeed, rng := faultSeed(campaign, 1<<16, n)
		r := newCrashRun(t, runSeed, rng)
		if err := r.all(); err != nil {
			t.Fatalf("run %d (-only %d), %v: %v", n, n, r.history, err)
		}
	}
}

// A crashRun is a faultRun the disk of which works as long as there is power.
type crashRun struct {
	*faultRun
	draw *rand.Rand // of the crashes

	// outage is the first operation of the present process that is refused, math.MaxInt64 if none is.
	outage atomic.Int64
	// kept: no power was lost since the log was last looked at. stopped: the last stop since then was clean.
	kept, stopped bool
	startMost     int64 // no start offset was higher since power was lost
	named         bool  // the name of the log is durable
	// ghosts are batches that were cut off without being cut durably: a power loss may bring them back. found is where the log
	// ended when it was last looked at: once it is flushed beyond, they are gone.
	ghosts     []record.Batch
	found      int64
	otherLeast int64 // of the other log this much is durable, 0 if it need not be there
	history    []string
}

func newCrashRun(t testing.TB, runSeed uint64, rng *rand.Rand) *crashRun {
	none := &injector{kind: &faultKind{fails: func(vfs.Op) bool { return false }}, root: "a"}
	return &crashRun{faultRun: newFaultRun(t, runSeed, none), draw: rng, kept: true}
}

// all is the run.
func (r *crashRun) all() error {
	for range 3 + r.draw.IntN(mostCrashes-2) {
		if err := r.live(); err != nil {
			return err
		}
		if err := r.crash(); err != nil {
			return err
		}
	}
	r.outage.Store(math.MaxInt64)
	r.boot()
	if err := r.start(); err != nil {
		return fmt.Errorf("last start: %w", err)
	}
	if err := r.reopen(); err != nil {
		return fmt.Errorf("last stop: %w", err)
	}
	err := r.look()
	return errors.Join(err, r.m.Close())
}

// boot gives the next process its view of the disk.
func (r *crashRun) boot() {
	r.faulty = vfs.NewFaulty(r.mem, func(op vfs.Op) error {
		if op.Index >= r.outage.Load() {
			return vfs.ErrCrashed
		}
		return nil
	})
	r.fsys, r.m, r.l = r.faulty, nil, nil
}

// crashIn has the process crash after n more operations.
func (r *crashRun) crashIn(n int) { r.outage.Store(r.faulty.Ops() + int64(n)) }

// down reports whether the process has crashed.
func (r *crashRun) down() bool { return r.faulty.Ops() > r.outage.Load() }

// live is a process from its start to the operation before which it crashes, or to where it has nothing to do.
func (r *crashRun) live() error {
	r.outage.Store(math.MaxInt64)
	r.boot()
	when := r.draw.IntN(10)
	if when < 3 {
		r.crashIn(r.draw.IntN(40))
	}
	if err := r.start(); err != nil || r.down() {
		return r.explain("start", err)
	}
	if when < 8 {
		r.crashIn(r.draw.IntN(300))
	}
	for range 3 + r.draw.IntN(faultSteps) {
		r.before, r.removing = r.model.clone(), false
		r.clock.now += 30
		err := r.crashStep()
		r.startMost = max(r.startMost, r.model.start)
		if r.l != nil {
			r.startMost = max(r.startMost, r.l.StartOffset())
		}
		if err != nil || r.down() {
			return r.explain("step", err)
		}
		if err := r.agree(); err != nil {
			return err
		}
	}
	if when < 8 {
		return nil
	}
	r.before, r.removing = r.model.clone(), false
	r.crashIn(r.draw.IntN(40))
	if err := r.m.Close(); err != nil || r.down() {
		return r.explain("stop", err)
	}
	r.model.flushed, r.before.flushed, r.stopped = r.model.end, r.model.end, true
	r.history = append(r.history, "clean stop")
	return nil
}

// explain returns err unless it comes from the crash.
func (r *crashRun) explain(what string, err error) error {
	if err != nil && (!r.down() || errors.Is(err, errWorkload)) {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.history = append(r.history, fmt.Sprintf("%s (op %d)", what, r.outage.Load()))
	return nil
}

// crashStep is a step of the workloads.
func (r *crashRun) crashStep() error {
	log, cuts := r.l, r.l.mu.cuts
	if r.m.Log(other) != nil {
		r.otherLeast = 0 // it may be deleted now
	}
	err := r.oneStep()
	if err == nil && r.l == log && r.l.mu.cuts != cuts {
		r.model.epoch++ // logs are cut for a new leader
	}
	if err != nil || r.down() {
		return err
	}
	if l := r.m.Log(other); l != nil {
		r.otherLeast = l.RecoveryPoint()
	}
	return nil
}

// crash ends the process, and perhaps cuts the power.
func (r *crashRun) crash() error {
	if r.m != nil && !r.m.mu.closed {
		r.stopAtOnce()
	} else if r.m != nil {
		r.m.abandon()
	}
	if n := r.faulty.Open(); n != 0 {
		return fmt.Errorf("%d files are open after the end", n)
	}
	how := "kill"
	switch r.draw.IntN(4) {
	case 0, 1:
	case 2:
		r.kept, how = false, "power loss"
		r.mem = r.mem.CrashClone(r.draw)
	case 3:
		r.kept, how = false, "power loss that leaves nothing unsynced"
		r.mem = r.mem.CrashClone(nil)
	}
	r.history = append(r.history, how)
	return nil
}

// start is a start that looks at everything, and makes the log if there is none yet.
func (r *crashRun) start() error {
	if err := r.open(); err != nil || r.down() {
		return err
	}
	if r.l == nil {
		if r.named && r.model.flushed > 0 || r.kept && r.model.end > 0 {
			return fmt.Errorf("%w: the log is gone", errWorkload)
		}
		r.model = model{epoch: r.model.epoch + 1}
		if err := r.create(); err != nil || r.down() {
			return err
		}
	} else if err := r.survive(); err != nil {
		return fmt.Errorf("%w: %w", errWorkload, err)
	}
	r.before, r.removing = r.model.clone(), false
	if !r.kept { // or a removal of all records that a kill has ended may be undone yet
		r.startMost = r.model.start
	}
	r.kept, r.stopped, r.found = true, false, r.l.EndOffset()
	return r.alignFuture()
}
