package storage

import (
	"math"
	"sync"
	"time"
)

// throttleWindow is how long a throttle looks at a rate before it slows down who exceeds it.
const throttleWindow = 300 * time.Millisecond

// A throttle bounds how many bytes per second several goroutines together read and write (Kafka's Throttler): at the
// end of each window it says how long to wait until the rate is right.
type throttle struct {
	mu    sync.Mutex
	rate  float64 // bytes per second; math.MaxFloat64: no limit
	since time.Time
	bytes float64
}

// setRate changes the limit. What another one has asked for is forgotten.
func (t *throttle) setRate(bytesPerSecond float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rate != bytesPerSecond {
		t.rate, t.since, t.bytes = bytesPerSecond, time.Time{}, 0
	}
}

// add counts n bytes at the time now, and returns how long the caller is to wait. Who comes before that has passed
// waits for it, too.
func (t *throttle) add(n int64, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.since = now
	}
	t.bytes += float64(n)
	elapsed := now.Sub(t.since)
	if elapsed < 0 {
		return -elapsed
	}
	if elapsed <= throttleWindow {
		return 0
	}
	needed := t.bytes / t.rate * float64(time.Second)
	wait := time.Duration(math.Max(0, math.Min(needed-float64(elapsed), float64(time.Hour))))
	t.since, t.bytes = now.Add(wait), 0
	return wait
}
