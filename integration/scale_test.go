package integration

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// What a broker may use, however many partitions it has: its files are those that it keeps open between uses, 1,024 of
// them, and some sockets.
const mostFiles = 1100

// mostThreads is what a broker may have of them: those that run Go code, one for each processor, and others that wait for files.
var mostThreads = 64 + runtime.NumCPU()

// TestManyPartitions: more partitions than files may be open, created, led, failed over and recovered, cost no file or thread each, and no
// more time than few.
func TestManyPartitions(t *testing.T) {
	const partitions = 1200
	c, client := startInSync(t, 3, partitions, replicated)
	for _, b := range c.Brokers() {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.PID()))
		if err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.PID()))
		if err != nil {
			t.Fatal(err)
		}
		threads, err := strconv.Atoi(string(regexp.MustCompile(`(?m)^Threads:\s*(\d+)`).FindSubmatch(status)[1]))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("broker %d: %d files, %d threads", b.ID(), len(files), threads)
		if len(files) > mostFiles || threads > mostThreads {
			t.Errorf("broker %d has %d files open and %d threads, want %d and %d at most", b.ID(), len(files), threads, mostFiles, mostThreads)
		}
	}
	victim := c.Controller()
	begun := time.Now()
	c.Kill(victim)
	produceToEach(t, client, "orders", partitions)
	took := time.Since(begun)
	t.Logf("all take records again after %v", took)
	if took > deathNoticed {
		t.Errorf("partitions took records again after %v, want %v at most", took, deathNoticed)
	}
	c.Restart(victim)
	awaitISR(c, "orders", partitions, 3)
}
