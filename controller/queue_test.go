package controller

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	q := newQueue()
	nothing := func(context.Context) error { return nil }
	taken := func() (names []string) {
		for e, ok := q.next(); ok; e, ok = q.next() {
			names = append(names, e.name)
			if e.name == "a" { // what comes while an event runs is not dropped
				q.put(event{name: "a2", run: nothing})
			}
		}
		return names
	}
	for _, name := range []string{"a", "b", "a"} {
		q.put(event{name: name, once: true, run: nothing})
	}
	q.put(event{name: "b", run: nothing})
	if got := taken(); !slices.Equal(got, []string{"a", "b", "b", "a2"}) {
		t.Errorf("events = %v, want a and b once, then what is not coalesced", got)
	}
	q.put(event{name: "a", once: true, run: nothing})
	q.replace(event{name: "expire", run: nothing})
	q.put(event{name: "b", once: true, run: nothing})
	q.put(event{name: "c", once: true, run: nothing})
	if got := taken(); !slices.Equal(got, []string{"expire", "b", "c"}) {
		t.Errorf("events after replace = %v", got)
	}
	q.close()
	q.put(event{name: "late", run: nothing})
	if got := taken(); len(got) > 0 {
		t.Errorf("events after close = %v", got)
	}
}

func TestQueueTakeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			for i := range 3 {
				q.put(event{name: fmt.Sprint(i)})
			}
		}()
		for i := range 3 {
			if e, ok := q.take(ctx); !ok || e.name != fmt.Sprint(i) {
				t.Errorf("take = %v, %v", e.name, ok)
			}
		}
		if _, ok := q.take(ctx); ok {
			t.Error("take returns an event that nobody has put")
		}
	})
}
