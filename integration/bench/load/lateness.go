package load

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/integration/bench/report"
)

// Lateness sleeps for a time, a millisecond again and again, and returns by how much later than that it was
// awake each time. On a machine that is at rest, it is what the machine itself adds to a latency.
func Lateness(ctx context.Context, d time.Duration) *report.Samples {
	const nap = time.Millisecond
	var s report.Samples
	s.Reserve(int(d / nap))
	defer exactTimers()()
	for start := time.Now(); time.Since(start) < d && ctx.Err() == nil; {
		before := time.Now()
		sleep(nap)
		s.Add(time.Since(before) - nap)
	}
	return &s
}

// exactTimers holds an OS thread whose timers are exact, until what it returns is called.
func exactTimers() (release func()) {
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // ns, of this thread
	return func() {
		unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default again
		runtime.UnlockOSThread()
	}
}

// sleep sleeps more exactly than time.Sleep, whose wake-ups may be a millisecond late.
func sleep(d time.Duration) {
	wait := unix.NsecToTimespec(d.Nanoseconds())
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &wait, &wait) == unix.EINTR {
	}
}
