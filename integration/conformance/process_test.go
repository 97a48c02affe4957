package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// usage is what a broker's process takes, as the kernel sees it.
type usage struct {
	resident int64 // bytes
	files    int   // open descriptors
	threads  int
	lines    int // of its log
}

func (u usage) String() string {
	return fmt.Sprintf("%d MiB, %d files, %d threads, %d lines of log", u.resident>>20, u.files, u.threads, u.lines)
}

// usageOf looks at a broker's process.
func usageOf(t testing.TB, b *cluster.Broker) usage {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(b.PID()))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		t.Fatalf("the broker is gone: %v\n%s", err, b.Log())
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(b.DataDir()), "broker.log"))
	if err != nil {
		t.Fatal(err)
	}
	u := usage{files: len(files), lines: bytes.Count(log, []byte("\n"))}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			u.resident = n << 10
		case "Threads":
			u.threads = int(n)
		}
	}
	return u
}

// requireNoGrowth waits until the broker has no more files open than before, and fails the test if it
// has more memory than that, or has written too many lines.
func requireNoGrowth(t testing.TB, b *cluster.Broker, before usage, lines int) {
	t.Helper()
	var now usage
	if !eventually(func() bool {
		now = usageOf(t, b)
		return now.files <= before.files+growthFiles && now.resident <= before.resident+growthBytes
	}) {
		t.Errorf("the broker has grown from %v to %v", before, now)
	}
	if now.lines > before.lines+lines {
		t.Errorf("the broker has written %d lines, want at most %d", now.lines-before.lines, lines)
	}
	t.Logf("before: %v; after: %v", before, now)
}

// growthFiles may be open more than before: of logs, a few stay open.
const growthFiles = 16

// growthBytes may be taken more than before: the garbage collector keeps memory for the next time.
var growthBytes = scaled(48 << 20)

// scaled returns the bound for memory of n bytes, which is less strict for a broker that is built with
// the race detector.
func scaled(n int64) int64 {
	if os.Getenv("GREGOR_RACE") != "" {
		return 8 * n
	}
	return n
}
