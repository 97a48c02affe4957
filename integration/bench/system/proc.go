package system

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime reads the clock that the kernel keeps of a process's processor time: what the fields utime
// and stime of /proc/PID/stat round to ticks of 10 ms, with those of threads that have ended.
func cpuTime(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED of the whole process, clock_getcpuclockid(3)
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduler, &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// parseRSS finds the resident set size in the text of /proc/PID/status, in bytes.
func parseRSS(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "VmRSS" {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("unexpected %q", line)
		}
		kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("unexpected %q", line)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("no VmRSS among %d bytes", len(status))
}
