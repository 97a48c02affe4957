package storage

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// A scheduler runs functions when they are due, one after another, on one goroutine. It stands for
// Kafka's KafkaScheduler: every periodic task of a Manager and every delayed deletion is an entry of
// its heap, so that no log needs a timer.
type scheduler struct {
	wake chan struct{} // capacity 1: an earlier task was added

	mu struct {
		sync.Mutex
		tasks taskHeap
		order uint64 // keeps tasks of one instant in the order they were added
	}
}

// task is one function and when it is due. A period > 0 repeats it, counted from the end of the run
// before, so that a slow disk is not chased by its backlog.
type task struct {
	due    time.Time
	order  uint64
	period time.Duration
	run    func()
}

func newScheduler() *scheduler {
	return &scheduler{wake: make(chan struct{}, 1)}
}

// after runs f once, when d has passed.
func (s *scheduler) after(d time.Duration, f func()) { s.add(task{due: time.Now().Add(d), run: f}) }

// every runs f when initial has passed and then each period.
func (s *scheduler) every(initial, period time.Duration, f func()) {
	s.add(task{due: time.Now().Add(initial), period: period, run: f})
}

func (s *scheduler) add(t task) {
	s.mu.Lock()
	s.mu.order++
	t.order = s.mu.order
	heap.Push(&s.mu.tasks, t)
	first := s.mu.tasks[0].order == t.order
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// run is the scheduler's goroutine. It ends when ctx does, after the task it is in; tasks that are
// not due by then are dropped.
func (s *scheduler) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		if wait := s.runDue(ctx); wait >= 0 {
			timer.Reset(wait)
		}
	}
}

// runDue runs the tasks that are due and returns how long it is until the next one; -1 if there is
// none.
func (s *scheduler) runDue(ctx context.Context) (wait time.Duration) {
	for ctx.Err() == nil {
		t, wait, ok := s.next()
		if !ok {
			return wait
		}
		t.run()
		if t.period > 0 {
			t.due = time.Now().Add(t.period)
			s.add(t)
		}
	}
	return -1
}

// next takes the first task that is due. Without one it returns how long until there is; -1 if there
// is no task at all.
func (s *scheduler) next() (t task, wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.tasks) == 0 {
		return task{}, -1, false
	}
	if wait = time.Until(s.mu.tasks[0].due); wait > 0 {
		return task{}, wait, false
	}
	return heap.Pop(&s.mu.tasks).(task), 0, true
}

// taskHeap orders tasks by due time (container/heap).
type taskHeap []task

func (h taskHeap) Len() int { return len(h) }
func (h taskHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].order < h[j].order
}
func (h taskHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *taskHeap) Push(x any)   { *h = append(*h, x.(task)) }
func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = task{}
	*h = old[:len(old)-1]
	return t
}

// A flusher runs slow jobs of logs, syncing rolled segments above all, on one goroutine of its own,
// so that they hold back neither appends nor the checkpoints. Its queue holds a log at most once.
type flusher struct {
	wake chan struct{} // capacity 1

	mu struct {
		sync.Mutex
		queue  []*Log
		queued map[*Log]bool
		job    func() // of soon; nil: none
	}
}

func newFlusher() *flusher {
	f := &flusher{wake: make(chan struct{}, 1)}
	f.mu.queued = map[*Log]bool{}
	return f
}

// add queues l; its pending jobs are done once its turn comes.
func (f *flusher) add(l *Log) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.queued[l] {
		return
	}
	f.mu.queued[l] = true
	f.mu.queue = append(f.mu.queue, l)
	f.wakeLocked()
}

// soon runs job before the logs that are queued, in place of one given earlier that was not begun.
func (f *flusher) soon(job func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.job = job
	f.wakeLocked()
}

func (f *flusher) wakeLocked() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns what to do next: a job, or else the jobs of a log; nil, nil if there is nothing.
func (f *flusher) take() (job func(), l *Log) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if job := f.mu.job; job != nil {
		f.mu.job = nil
		return job, nil
	}
	if len(f.mu.queue) == 0 {
		f.mu.queue = nil
		return nil, nil
	}
	l = f.mu.queue[0]
	f.mu.queue[0] = nil
	f.mu.queue = f.mu.queue[1:]
	delete(f.mu.queued, l)
	return nil, l
}

// run is the flusher's goroutine. It ends when ctx does; what is queued then is left to Close, which
// flushes every log.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		f.drain(ctx)
	}
}

// drain does the jobs that are queued.
func (f *flusher) drain(ctx context.Context) {
	for ctx.Err() == nil {
		switch job, l := f.take(); {
		case job != nil:
			job()
		case l != nil:
			l.background()
		default:
			return
		}
	}
}
