package purgatory

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// op completes once ready is set.
type op struct {
	ready    atomic.Bool
	finished atomic.Int32
	expired  atomic.Bool
	at       time.Time
}

func (o *op) TryComplete() bool { return o.ready.Load() }

func (o *op) Finish(expired bool) {
	o.finished.Add(1)
	o.expired.Store(expired)
	o.at = time.Now()
}

func TestCompletedByAnyOfItsKeys(t *testing.T) {
	p := New[string]()
	defer p.Close()
	o := &op{}
	if p.Wait(o, time.Now().Add(time.Hour), "a", "b") {
		t.Fatal("ended before it was ready")
	}
	if n := p.Check("a"); n != 0 || o.finished.Load() != 0 {
		t.Fatalf("Check completed %d operations that were not ready", n)
	}
	o.ready.Store(true)
	if n := p.Check("c"); n != 0 {
		t.Fatalf("a foreign key completed %d", n)
	}
	if n := p.Check("b"); n != 1 || o.finished.Load() != 1 || o.expired.Load() {
		t.Fatalf("Check(b) = %d, finished %d, expired %v; want 1, 1, false", n, o.finished.Load(), o.expired.Load())
	}
	if n := p.Check("a"); n != 0 {
		t.Fatalf("the operation ended twice")
	}
	if n := p.Len() + watched(p); n != 0 {
		t.Fatalf("%d traces of the finished operation are left", n)
	}
}

func TestReadyAtOnce(t *testing.T) {
	p := New[int]()
	defer p.Close()
	o := &op{}
	o.ready.Store(true)
	if !p.Wait(o, time.Now().Add(time.Hour), 1) || o.finished.Load() != 1 || p.Len() != 0 {
		t.Fatal("a ready operation must end at once and leave nothing")
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New[int]()
		start := time.Now()
		ops := make([]*op, 100)
		for i, d := range rand.Perm(len(ops)) {
			ops[i] = &op{}
			p.Wait(ops[i], start.Add(time.Duration(d)*time.Second), i%7)
			defer func() {
				if got := ops[i].at.Sub(start); !ops[i].expired.Load() || got != time.Duration(d)*time.Second {
					t.Errorf("operation with %d s ended after %v, expired %v", d, got, ops[i].expired.Load())
				}
			}()
		}
		time.Sleep(100 * time.Second) // the bubble's clock: no real waiting
		if n := p.Len() + watched(p); n != 0 {
			t.Errorf("%d operations left after their deadlines", n)
		}
		p.Close()
	})
}

func TestCloseExpires(t *testing.T) {
	p := New[int]()
	before, after := &op{}, &op{}
	p.Wait(before, time.Now().Add(time.Hour), 1)
	p.Close()
	if before.finished.Load() != 1 || !before.expired.Load() {
		t.Error("Close must expire what waits")
	}
	if !p.Wait(after, time.Now().Add(time.Hour), 1) || !after.expired.Load() {
		t.Error("what comes after Close must expire at once")
	}
}

// TestEachEndsOnce lets checks, expiries and Close race; every operation must end exactly once.
func TestEachEndsOnce(t *testing.T) {
	p := New[int]()
	var ops [2000]op
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < len(ops); i += 4 {
				p.Wait(&ops[i], time.Now().Add(time.Duration(i%3)*time.Millisecond), i%11, (i+1)%11)
				ops[i].ready.Store(i%2 == 0)
				p.Check(i % 11)
			}
		})
	}
	wg.Wait()
	p.Close()
	for i := range ops {
		if n := ops[i].finished.Load(); n != 1 {
			t.Errorf("operation %d ended %d times", i, n)
		}
	}
	if n := watched(p); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

// secondTry completes when it is tried for the second time.
type secondTry struct {
	op
	tried atomic.Int32
}

func (o *secondTry) TryComplete() bool { return o.tried.Add(1) > 1 }

// TestCompletedWhileBeingLinked: an operation that one of its keys completes before it is linked to the
// others leaves nothing behind there.
func TestCompletedWhileBeingLinked(t *testing.T) {
	p := New[int]()
	defer p.Close()
	keys := make([]int, 100)
	for i := range keys {
		keys[i] = i
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.Check(keys[0])
			}
		}
	})
	for range 3000 {
		o := &secondTry{}
		p.Wait(o, time.Now().Add(time.Hour), keys...)
		for o.finished.Load() == 0 { // Check has taken it, and is about to finish it
			runtime.Gosched()
		}
	}
	close(stop)
	wg.Wait()
	if n := p.Len() + watched(p); n != 0 {
		t.Errorf("%d traces of finished operations are left", n)
	}
}

func watched[K comparable](p *Purgatory[K]) (n int) {
	for i := range p.shards {
		p.shards[i].mu.Lock()
		n += len(p.shards[i].watchers)
		p.shards[i].mu.Unlock()
	}
	return n
}

func BenchmarkCheckNobodyWaits(b *testing.B) {
	p := New[string]()
	defer p.Close()
	key := "orders"
	b.ReportAllocs()
	for b.Loop() {
		p.Check(key)
	}
}

func BenchmarkWaitAndComplete(b *testing.B) {
	p := New[string]()
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		o := &op{}
		p.Wait(o, time.Now().Add(time.Hour), "orders")
		o.ready.Store(true)
		p.Check("orders")
	}
}
