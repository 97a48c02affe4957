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

// settled waits until the usage of the broker is as it is wanted, and returns it as it was last. What has been freed is nobody's
// loss, but an idle broker keeps it: the garbage collector runs as memory is asked for. So some is asked for meanwhile.
func settled(t testing.TB, b *cluster.Broker, wanted func(usage) bool) (now usage, ok bool) {
	t.Helper()
	ok = eventually(func() bool {
		if now = usageOf(t, b); wanted(now) {
			return true
		}
		turnOver(t, b)
		return false
	})
	return now, ok
}

// turnOver has the broker ask for several megabytes, for what it has done with at once: descriptions of all its properties.
func turnOver(t testing.TB, b *cluster.Broker) {
	t.Helper()
	c := dial(t, b.Addr())
	defer c.Close()
	req := describeConfigs(brokerResource, strconv.Itoa(int(b.ID())))
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	for range 50 {
		if _, err := c.ask(withVersion(req, 4)); err != nil {
			t.Fatal(err)
		}
	}
}

// requireNoGrowth waits until the broker has no more files open than before, and fails the test if it
// has more memory than that, or has written too many lines.
func requireNoGrowth(t testing.TB, b *cluster.Broker, before usage, lines int) {
	t.Helper()
	now, ok := settled(t, b, func(now usage) bool {
		return now.files <= before.files+growthFiles && now.resident <= before.resident+growthBytes
	})
	if !ok {
		t.Errorf("the broker has grown from %v to %v", before, now)
	}
	if now.lines > before.lines+lines {
		t.Errorf("the broker has written %d lines, want at most %d", now.lines-before.lines, lines)
	}
	t.Logf("before: %v; after: %v", before, now)
}

// growthFiles may be open more than before: of logs, a few stay open.
const growthFiles = 16

// growthBytes may be taken more than before: the garbage collector keeps memory for the next time. See settled.
var growthBytes = scaled(48 << 20)

// scaled returns the bound for memory of n bytes, which is less strict for a broker that is built with
// the race detector.
func scaled(n int64) int64 {
	if os.Getenv("GREGOR_RACE") != "" {
		return 8 * n
	}
	return n
}
