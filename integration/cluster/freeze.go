package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// freezeTimeout bounds the wait for a process to stop; on a busy machine its threads are stopped one
// by one, as each of them is next on a processor.
const freezeTimeout = 10 * time.Second

// awaitFrozen returns once every thread of a process that was sent SIGSTOP has stopped. The signal
// alone does not mean that: what is asked of the process right after it may still be answered.
func awaitFrozen(pid int) {
	for end := time.Now().Add(freezeTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if frozen(pid) {
			return
		}
	}
}

// frozen reports whether all threads of the process are stopped, or none is left.
func frozen(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		// pid (name) state ...; the name may hold anything, parentheses too
		_, state, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if err == nil && ok && len(state) > 0 && state[0] != 'T' && state[0] != 'Z' {
			return false
		}
	}
	return true
}
