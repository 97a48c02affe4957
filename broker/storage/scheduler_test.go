package storage

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestSchedulerRunsTasksWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			s.run(ctx)
			close(done)
		}()
		start := time.Now()
		var got []string
		note := func(what string) func() {
			return func() { got = append(got, what+"@"+time.Since(start).String()) }
		}
		s.after(3*time.Second, note("late"))
		s.every(time.Second, 2*time.Second, note("tick"))
		synctest.Wait()
		s.after(time.Second/2, note("early"))
		s.after(0, note("now"))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		cancel()
		<-done
		want := []string{"now@0s", "early@500ms", "tick@1s", "late@3s", "tick@3s"}
		if !slices.Equal(got, want) {
			t.Errorf("ran %v, want %v", got, want)
		}
	})
}

func TestFlusherHoldsALogOnce(t *testing.T) {
	f := newFlusher()
	a, b := &Log{}, &Log{}
	f.add(a)
	f.add(b)
	f.add(a)
	next := func() *Log {
		_, l := f.take()
		return l
	}
	if next() != a || next() != b || next() != nil {
		t.Error("the queue does not hold each log once, in order")
	}
	f.add(a)
	if next() != a {
		t.Error("a log that was taken cannot be queued again")
	}
}
