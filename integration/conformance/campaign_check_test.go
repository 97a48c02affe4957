package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// campaignBytes may be taken more than before a campaign: logs, metadata and configurations of its topics are there.
var campaignBytes = scaled(96 << 20)

// What bounds the log: topics that come and go, and requests that are refused, have a line, and so has each partition of a long list. A slow
// machine sends few requests, among which may be some of these.
const (
	linesPerRequest = 2
	longLists       = 4
)

// unharmed fails the test unless the broker is as it was before: no memory, files or threads are lost, and the log has one
// line for what happened.
func (m *campaign) unharmed(before usage) {
	t := m.t
	select {
	case <-m.target.Exited():
		t.Fatal("the broker has ended")
	default:
	}
	now, ok := settled(t, m.target, func(now usage) bool {
		return now.resident <= before.resident+campaignBytes && now.threads <= before.threads+30
	})
	if !ok {
		t.Errorf("the broker has grown from %v to %v", before, now)
	}
	log, err := os.ReadFile(m.target.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	if now.lines-before.lines > longLists*longest+linesPerRequest*m.sent {
		t.Errorf("%d lines of log for %d requests", now.lines-before.lines, m.sent)
	}
	for line := range bytes.Lines(log) {
		if !bytes.HasPrefix(line, []byte("[20")) || len(line) > 64<<10 {
			t.Errorf("the log has a line of %d bytes that is none of a logger: %.300s", len(line), line)
			break
		}
	}
	for _, bad := range []string{"panic", "DATA RACE", "goroutine "} {
		if i := bytes.Index(log, []byte(bad)); i >= 0 {
			t.Errorf("the log has %q: %.3000s", bad, log[max(0, i-200):])
		}
	}
}

// askTools has the tools read what the requests have left in the cluster.
func (m *campaign) askTools() {
	for _, command := range [][]string{{"topics", "--describe"}, {"groups", "--list"}, {"configs", "--describe", "--entity-type", "topics"}, {"log-dirs", "--describe"}} {
		m.gregorctl(append(command, "--bootstrap-server", m.target.Addr())...)
	}
	if tree := m.gregorctl("zookeeper", "--zookeeper", m.c.ZooKeeper()); !strings.Contains(tree, bystandersTopic) {
		m.t.Errorf("the znodes: %s", tree)
	}
}

// checkLogs reads every file of the logs of a broker that was stopped in order. Those of deleted topics are nobody's any
// more: one with preallocate=true still has its full size, of zeros, if the broker was killed.
func (m *campaign) checkLogs() {
	t := m.t
	var files []string
	for _, kind := range []string{"*.log", "*index", "*.snapshot"} {
		found, err := filepath.Glob(filepath.Join(m.target.DataDir(), "*", kind))
		if err != nil || len(found) == 0 {
			t.Fatalf("no files %s: %v", kind, err)
		}
		files = append(files, found...)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(filepath.Dir(f), "-delete") })
	for some := range slices.Chunk(files, 100) {
		m.dump(some)
	}
}

// dump requires that nothing is wrong with files of logs.
func (m *campaign) dump(files []string) {
	r := m.gregorctl("dump-log", "--deep-iteration", "--files", strings.Join(files, ","))
	for _, bad := range []string{"Mismatch", "mismatch", "isvalid: false", "xception", "not found", "invalid"} {
		if i := strings.Index(r, bad); i >= 0 {
			m.t.Errorf("dump-log says %q: %s", bad, r[max(0, i-1000):min(len(r), i+500)])
		}
	}
}

func (m *campaign) gregorctl(args ...string) string {
	m.t.Helper()
	r := cluster.Gregorctl(m.t, nil, args...)
	if r.Exit != 0 {
		m.t.Errorf("gregorctl %.300q: exit status %d\n%.2000s", args, r.Exit, r.Stderr)
	}
	return string(r.Stdout)
}
