package storage

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

var onlyFlag = flag.Int("only", -1, "the one run to repeat of a kind of fault of TestFaults, or of TestCrashesInARow; -1: all")

const faultSteps = 30

// TestFaults has operations of a disk fail while a broker works with two of them: once, or until it is started again, or
// still then. It requires that
//
//   - the step at which that happens says so, with ErrStorage, and the directory, and no other, is offline from then on;
//   - nothing touches that directory any more, nor does a stop, and no file stays open;
//   - a start on a disk that still fails ends, too;
//   - whatever was acknowledged is there when the disk works again, and what was flushed also after a power loss, with
//     nothing between that was never written, and the log goes on.
func TestFaults(t *testing.T) {
	campaign := seed.Of(t)
	for i := range faultKinds {
		kind := &faultKinds[i]
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			span := faultSpan(t, campaign, kind)
			for n, hit := max(0, *onlyFlag), 0; hit < campaignFaults() && (*onlyFlag < 0 || n == *onlyFlag); n++ {
				if n > 20*campaignFaults() {
					t.Fatalf("only %d faults in %d runs", hit, n)
				}
				runSeed, rng := faultSeed(campaign, i, n)
				r := drawFault(t, runSeed, rng, kind, span)
				if err := r.once(rng); err != nil {
					t.Fatalf("run %d: %d of %s %s (once: %v): %v", n, r.in.fails, r.in.first.Kind, r.in.first.Path, r.in.once, err)
				}
				if r.in.fails > 0 {
					hit++
				}
			}
		})
	}
}

// faultSpan returns about how many operations of a run can fail.
func faultSpan(t *testing.T, seed uint64, kind *faultKind) int {
	const samples, most = 10, 1 << 30
	total := 0
	for n := range samples {
		runSeed, rng := faultSeed(seed, -1, n)
		r := drawFault(t, runSeed, rng, kind, 1)
		r.in.skip = most
		if err := r.run(faultSteps); err != nil {
			t.Fatalf("sample %d: %v", n, err)
		}
		r.stopAtOnce()
		total += most - r.in.skip
	}
	return max(1, total/samples)
}

// drawFault draws when and where a run is to fail.
func drawFault(t *testing.T, seed uint64, rng *rand.Rand, kind *faultKind, span int) *faultRun {
	in := &injector{kind: kind, root: "a", rng: rng, skip: rng.IntN(span), once: !kind.stays && rng.IntN(2) == 0}
	if rng.IntN(4) == 0 {
		in.root = "b"
	}
	return newFaultRun(t, seed, in)
}

// once is one run with what follows from it.
func (r *faultRun) once(rng *rand.Rand) error {
	err := r.run(faultSteps)
	if errors.Is(err, errWorkload) {
		return err
	}
	_, fails, missed := r.in.state()
	switch {
	case fails == 0 && err != nil:
		return fmt.Errorf("without a fault: %w", err)
	case fails == 0:
		r.stopAtOnce()
		return nil
	case !explained(err):
		return fmt.Errorf("the step fails with %w", err)
	case r.m == nil && err == nil, r.m != nil && missed && !r.offline():
		return fmt.Errorf("the fault went unnoticed (%v)", err)
	case r.m != nil && r.in.kind.hidden && !r.offline():
		return errors.New("the directory is gone, and nobody has noticed")
	}
	if r.m != nil && r.offline() && !r.m.mu.closed {
		if err := r.refused(); err != nil {
			return err
		}
	}
	left := r.mem.CrashClone([]*rand.Rand{nil, rng}[rng.IntN(2)])
	if r.m != nil {
		if err := r.stop(rng); err != nil {
			return err
		}
	}
	return r.restarts(rng, left)
}

// stop stops a Manager of which a directory has failed, or kills it.
func (r *faultRun) stop(rng *rand.Rand) error {
	offline := r.offline()
	if rng.IntN(2) == 0 {
		if err := r.m.Close(); err != nil && !explained(err) {
			return fmt.Errorf("stop: %w", err)
		}
	} else if !r.m.mu.closed {
		r.stopAtOnce()
	}
	if want := []string{r.in.root}; offline && !slices.Equal(r.failed, want) {
		return fmt.Errorf("told of failures of %v, should be %v", r.failed, want)
	}
	if n := r.faulty.Open(); n != 0 {
		return fmt.Errorf("%d files are open after the stop", n)
	}
	return nil
}

// refused requires that nobody touches the failed directory any more.
func (r *faultRun) refused() error {
	before, _, _ := r.in.state()
	if l := r.m.Log(orders); l != nil {
		for range 3 {
			r.l = l
			r.background()
		}
		if (l.Err() != nil) != (l.Dir() == r.in.root) {
			return fmt.Errorf("the log in %s: %v", l.Dir(), l.Err())
		}
		if l.Dir() != r.in.root {
			return r.goesOn(l)
		}
		if _, err := l.AppendLeader(batch(r.t, batchOpts{}), AppendOptions{Now: testNow}); !errors.Is(err, ErrStorage) {
			return fmt.Errorf("append: %v", err)
		}
		if _, err := l.Read(l.StartOffset(), 1, l.EndOffset(), true); !errors.Is(err, ErrStorage) {
			return fmt.Errorf("read: %v", err)
		}
		if err := r.m.Delete(orders); !errors.Is(err, ErrStorage) {
			return fmt.Errorf("delete: %v", err)
		}
	}
	if after, _, _ := r.in.state(); after != before {
		return fmt.Errorf("%d operations on a directory that is offline", after-before)
	}
	return nil
}

// goesOn requires that a log on another directory works.
func (r *faultRun) goesOn(l *Log) error {
	r.before = r.model.clone()
	if err := r.lead(batch(r.t, batchOpts{timestamp: r.time()}), record.Client); err != nil {
		return fmt.Errorf("append to the log in %s: %w", l.Dir(), err)
	}
	r.before = r.model.clone()
	return r.fetch()
}

// restarts starts again, first on a disk that may still fail, then on one that works, and on what a power loss leaves.
func (r *faultRun) restarts(rng *rand.Rand, left *vfs.Mem) error {
	if !r.in.once && rng.IntN(2) == 0 {
		w := &workload{t: r.t, fsys: r.faulty, dirs: r.dirs, compacted: r.compacted, clock: r.clock}
		err := w.open()
		if err != nil && !explained(err) {
			return fmt.Errorf("start on the failing disk: %w", err)
		}
		if err == nil {
			(&faultRun{workload: w}).stopAtOnce()
		}
		if n := r.faulty.Open(); n != 0 {
			return fmt.Errorf("%d files are open after a start on the failing disk", n)
		}
	}
	r.in.heal()
	if err := r.check(r.mem, true); err != nil {
		return fmt.Errorf("started on the disk as it is: %w", err)
	}
	if err := r.check(left, false); err != nil {
		return fmt.Errorf("started after a power loss: %w", err)
	}
	return nil
}

// check looks at what is left.
func (r *faultRun) check(mem *vfs.Mem, kept bool) error {
	f := vfs.NewFaulty(mem, nil)
	var err error
	if r.clean != nil {
		err = r.clean.checkAfterCrash(f, kept)
	} else {
		err = checkAfterCrash(r.t, f, r.workload, kept)
	}
	if n := f.Open(); err == nil && n != 0 {
		err = fmt.Errorf("%d files are open at the end", n)
	}
	return err
}
