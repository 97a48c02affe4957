package storage

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestPause: a pause ends what is in progress, waits for that, and keeps others from beginning until all pauses are over.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCleanerStates()
		abort, ok := s.begin(orders)
		if !ok {
			t.Fatal("a free partition cannot be begun")
		}
		if _, ok := s.begin(orders); ok {
			t.Error("begun twice")
		}
		if _, ok := s.begin(partition(1)); !ok {
			t.Error("one partition keeps another from being begun")
		}
		if s.tryPause(orders) {
			t.Error("tryPause does not wait, but has paused what is in progress")
		}
		select {
		case <-abort:
			t.Fatal("aborted by nobody")
		default:
		}
		var paused sync.WaitGroup
		done := make(chan int, 2)
		for i := range 2 {
			paused.Go(func() { s.pause(orders); done <- i })
		}
		<-abort
		synctest.Wait()
		if len(done) != 0 {
			t.Error("pause has returned while the partition is in progress")
		}
		s.end(orders)
		paused.Wait()
		for n := range 2 {
			if _, ok := s.begin(orders); ok {
				t.Errorf("begun after %d of 2 resumes", n)
			}
			s.resume(orders)
		}
		if !s.tryPause(orders) || s.tryPause(orders) {
			t.Error("tryPause of a free partition, or of one that is paused")
		}
		s.resume(orders)
		if _, ok := s.begin(orders); !ok {
			t.Error("not free after all pauses")
		}
	})
}

// TestThrottle: whatever the pieces, no more than the rate passes, beyond what one window may.
func TestThrottle(t *testing.T) {
	for _, piece := range []int64{1000, 10_000, 50_000} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var th throttle
				th.setRate(100_000)
				began, total := time.Now(), int64(0)
				var threads sync.WaitGroup
				var mu sync.Mutex
				for range 3 {
					threads.Go(func() {
						for range 3_000_000 / piece {
							time.Sleep(time.Duration(piece) * time.Microsecond) // which is 10 times too fast
							time.Sleep(th.add(piece, time.Now()))
							mu.Lock()
							total += piece
							mu.Unlock()
						}
					})
				}
				threads.Wait()
				took := time.Since(began).Seconds()
				if want := float64(total) / 100_000; took < want-10 || took > want+10 {
					t.Errorf("%d bytes took %.1f s", total, took)
				}
				th.setRate(1e12)
				time.Sleep(time.Hour)
				if wait := th.add(1<<30, time.Now()); wait != 0 {
					t.Errorf("waits %v without a limit", wait)
				}
			})
		})
	}
}

// TestThrottleForgets: a limit that was so low that somebody has to wait for an hour does not outlive its correction.
func TestThrottleForgets(t *testing.T) {
	var th throttle
	now := time.Now()
	th.setRate(1)
	th.add(0, now)
	now = now.Add(time.Second)
	if wait := th.add(1e6, now); wait != time.Hour {
		t.Fatalf("waits %v", wait)
	}
	th.setRate(1)
	if wait := th.add(1, now); wait != time.Hour {
		t.Errorf("waits %v once the limit was set that there was", wait)
	}
	th.setRate(1e12)
	for range 3 {
		if wait := th.add(1e6, now); wait != 0 {
			t.Errorf("waits %v after the limit was raised", wait)
		}
		now = now.Add(time.Second)
	}
}

// duringCleaning calls f while the log is being cleaned by another goroutine, which has read something already.
func duringCleaning(t *testing.T, m *Manager, f func()) {
	t.Helper()
	stopCleaning(m.env.cleaner)
	var cleaning sync.WaitGroup
	cleaning.Go(func() { cleanOnce(m) })
	awaitCleaning(t, m.env.cleaner)
	f()
	cleaning.Wait()
	c := m.env.cleaner
	c.throttle.setRate(1e18)
	c.throttle.since = time.Now()
}

// stopCleaning has a cleaning wait as soon as it has read something.
func stopCleaning(c *cleaner) {
	c.throttle.setRate(1) // byte per second
	c.throttle.since = time.Now().Add(-time.Hour)
	c.throttle.bytes = 1e9
}

// awaitCleaning returns when a cleaning waits.
func awaitCleaning(t *testing.T, c *cleaner) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		c.throttle.mu.Lock()
		waits := c.throttle.since.After(time.Now())
		c.throttle.mu.Unlock()
		if waits {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("nothing is being cleaned")
		}
	}
}

// TestCleaningGivesWay: what else changes the segments of a log ends its cleaning, and the next one does it all.
func TestCleaningGivesWay(t *testing.T) {
	setup := func(t *testing.T) (*Manager, *Log, *vfs.Mem) {
		fsys := vfs.NewMem()
		m := openCleaner(t, fsys, "a", "b")
		l, err := m.Create(orders, CreateOptions{New: true, Dir: "a"})
		if err != nil {
			t.Fatal(err)
		}
		versions(t, l, 10, "a", "b", "c")
		return m, l, fsys
	}
	t.Run("truncation", func(t *testing.T) {
		m, l, fsys := setup(t)
		duringCleaning(t, m, func() {
			if err := l.TruncateTo(12); err != nil {
				t.Error(err)
			}
		})
		if l.EndOffset() != 12 || l.cleaned.Load() > 10 {
			t.Errorf("ends at %d, clean up to %d", l.EndOffset(), l.cleaned.Load())
		}
		versions(t, l, 10, "a")
		cleanAll(m)
		if got := contents(t, l)[0]; got != "10:b=3" {
			t.Errorf("begins with %s", got)
		}
		if got, want := checkpointed(t, fsys, "a"), fmt.Sprintf("orders-0:%d", l.active().Base()); !slices.Equal(got, []string{want}) {
			t.Errorf("checkpoint %v, want %s", got, want)
		}
	})
	t.Run("full truncation", func(t *testing.T) {
		m, l, _ := setup(t)
		duringCleaning(t, m, func() {
			if err := l.TruncateFullyAndStartAt(100); err != nil {
				t.Error(err)
			}
		})
		versions(t, l, 10, "a")
		cleanAll(m)
		if l.StartOffset() != 100 || len(contents(t, l)) > 6 {
			t.Errorf("%d: %q", l.StartOffset(), contents(t, l))
		}
	})
	t.Run("a truncation that the cleaner need not notice", func(t *testing.T) {
		m, l, _ := setup(t)
		c := m.env.cleaner
		if _, ok := c.states.begin(orders); !ok {
			t.Fatal("not free")
		}
		if err := l.TruncateTo(l.active().Base()); err != nil { // would wait for ever
			t.Error(err)
		}
		c.states.end(orders)
	})
	t.Run("deletion", func(t *testing.T) {
		m, l, fsys := setup(t)
		cleanAll(m)
		versions(t, l, 10, "a", "b")
		duringCleaning(t, m, func() {
			if err := m.Delete(orders); err != nil {
				t.Error(err)
			}
		})
		if got := checkpointed(t, fsys, "a"); len(got) > 0 {
			t.Errorf("checkpoint %v", got)
		}
		l = mustCreate(t, m, orders, compactConfig())
		if l.cleaned.Load() >= 0 {
			t.Errorf("a new log is clean up to %d", l.cleaned.Load())
		}
	})
	t.Run("policy", func(t *testing.T) {
		m, l, _ := setup(t)
		c := compactConfig()
		c.Compact, c.Delete = false, true
		duringCleaning(t, m, func() { l.SetConfig(c) })
		if cleanOnce(m) || len(contents(t, l)) != 30 {
			t.Error("cleaned although it is not compacted any more")
		}
		c.RetentionBytes = 0
		l.SetConfig(c)
		m.checkRetention()
		if l.Size() != 0 {
			t.Error("retention does not look at it")
		}
	})
	t.Run("move", func(t *testing.T) {
		m, l, fsys := setup(t)
		cleanAll(m)
		cleaned := l.cleaned.Load()
		versions(t, l, 10, "a", "b")
		duringCleaning(t, m, func() {
			if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
				t.Error(err)
			}
		})
		if cleanOnce(m) {
			t.Error("cleaned while it is copied")
		}
		if err := move(t, m, orders, "b"); err != nil {
			t.Fatal(err)
		}
		if l = m.Log(orders); l.Dir() != "b" || l.cleaned.Load() != cleaned {
			t.Errorf("in %s, clean up to %d, was %d", l.Dir(), l.cleaned.Load(), cleaned)
		}
		if a, b := checkpointed(t, fsys, "a"), checkpointed(t, fsys, "b"); len(a) != 0 || len(b) != 1 {
			t.Errorf("checkpoints: %v in a, %v in b", a, b)
		}
		if !cleanOnce(m) {
			t.Error("not cleaned once it is moved")
		}
	})
	t.Run("stop", func(t *testing.T) {
		m, _, fsys := setup(t)
		stopCleaning(m.env.cleaner)
		m.env.cleaner.start()
		awaitCleaning(t, m.env.cleaner)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		m = openCleaner(t, fsys, "a", "b")
		if got := contents(t, m.Log(orders)); len(got) != 30 {
			t.Errorf("%d records after a stop", len(got))
		}
	})
}

// TestSetCleaner: threads are exchanged while the broker runs, and go on with the new configuration.
func TestSetCleaner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openCleaner(t, vfs.NewMem())
		m.SetCleaner(CleanerConfig{Threads: -1, Backoff: time.Minute})
		m.env.cleaner.start()
		l := mustCreate(t, m, orders, compactConfig())
		versions(t, l, 10, "a", "b")
		time.Sleep(time.Hour)
		if l.cleaned.Load() >= 0 {
			t.Error("cleaned without a thread")
		}
		m.SetCleaner(CleanerConfig{Threads: 3, Backoff: time.Minute})
		synctest.Wait()
		first := l.cleaned.Load()
		if first <= 0 {
			t.Error("not cleaned at once")
		}
		versions(t, l, 10, "a", "b")
		time.Sleep(time.Minute - time.Second)
		if l.cleaned.Load() != first {
			t.Error("cleaned during the backoff")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if l.cleaned.Load() <= first {
			t.Error("not cleaned after the backoff")
		}
		m.Close()
	})
}

// TestManyCleaners: several threads, and whatever else there is, at several logs at once.
func TestManyCleaners(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.Cleaner = &CleanerConfig{Threads: 3, Backoff: time.Millisecond}
	m := mustOpen(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		l := mustCreate(t, m, partition(i), compactConfig())
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				put(t, l, fmt.Sprintf("k%d=%d", n%7, n))
				switch {
				case n%97 == 96:
					if err := l.TruncateTo(l.EndOffset() - 15); err != nil {
						t.Error(err)
					}
				case n%61 == 60:
					if _, err := l.IncrementStartOffset(l.StartOffset() + 3); err != nil {
						t.Error(err)
					}
				}
				if _, err := l.Read(max(l.StartOffset(), l.EndOffset()-40), 1000, l.EndOffset(), true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for l := range m.Logs() {
		if l.uncleanable.Load() || l.Err() != nil || l.cleaned.Load() <= 0 {
			t.Errorf("%s: uncleanable %v, error %v, clean up to %d", l.partition, l.uncleanable.Load(), l.Err(), l.cleaned.Load())
		}
		contents(t, l)
	}
}
