package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func TestMain(m *testing.M) { cluster.Main(m) }

// step is one command of a recorded session with what Kafka's tool answered, or a note about what happened.
type step struct {
	note           string
	line           string
	stdin          string
	stdout, stderr []string
	exit           string
}

// parseSession reads a session as the files in testdata hold it.
func parseSession(text string) []step {
	var steps []step
	var s *step
	for line := range strings.SplitSeq(text, "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{line: command})
			s = &steps[len(steps)-1]
			continue
		}
		if note, ok := strings.CutPrefix(line, "# "); ok && (s == nil || s.exit != "") {
			steps = append(steps, step{note: note, exit: "0"})
			s = &steps[len(steps)-1]
		}
		if s == nil || s.exit != "" {
			continue
		}
		input, isInput := strings.CutPrefix(line, "stdin| ")
		failure, isFailure := strings.CutPrefix(line, "stderr| ")
		exit, isExit := strings.CutPrefix(line, "exit ")
		switch {
		case isInput:
			s.stdin += input + "\n"
		case isFailure:
			s.stderr = append(s.stderr, failure)
		case isExit:
			s.exit = exit
		default:
			s.stdout = append(s.stdout, line)
		}
	}
	return steps
}

// lockedBuffer is a stream that connections may log to while a command runs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// execute runs a command line in this process.
func execute(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs lockedBuffer
	env := &tool.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Now: time.Now}
	status = run(ctx, env, args)
	return out.String(), errs.String(), status
}

// word is a word of a command line: quotes keep spaces, a backslash keeps the dollar sign.
var word = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`)

func splitLine(line string) []string {
	words := word.FindAllString(line, -1)
	for i, w := range words {
		words[i] = strings.NewReplacer(`"`, "", `'`, "", `\$`, "$").Replace(w)
	}
	return words
}

// adapt makes a session of three brokers one of a single broker: without further replicas, and with the
// addresses and waiting times of this test.
func adapt(text, bootstrap, closed string) string {
	text = strings.NewReplacer(
		"127.0.0.1:22061", bootstrap,
		"127.0.0.1:22999", closed,
		"--replication-factor 2", "--replication-factor 1",
		"--replication-factor 3", "--replication-factor 1",
		"min.insync.replicas=2", "min.insync.replicas=1",
		"--replica-assignment 1:2:3,2:3:1", "--replica-assignment 1,1",
		"--replica-assignment 1:9", "--replica-assignment 1",
		"larger than available brokers: 3", "larger than available brokers: 1",
		"Current existent brokers: 1,2,3", "Current existent brokers: 1",
	).Replace(text)
	text = regexp.MustCompile(`--timeout-ms \d+`).ReplaceAllString(text, "--timeout-ms 5000")
	// A new group waits for members for group.initial.rebalance.delay.ms, 3 s.
	return regexp.MustCompile(`(--group .*)--timeout-ms \d+`).ReplaceAllString(text, "$1--timeout-ms 15000")
}

// volatile is what differs from run to run, with what stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`^\[\d{4}-\d\d-\d\d [\d:,]+\] `), "[time] "},
	{regexp.MustCompile(`Cluster ID: [\w-]{22}`), "Cluster ID: ID"},
	{regexp.MustCompile(`TopicId: [\w-]{22}`), "TopicId: ID"},
	{regexp.MustCompile(`ReplicationFactor: \d`), "ReplicationFactor: N"},
	{regexp.MustCompile(`Leader: \d\tReplicas: [\d,]+\tIsr: [\d,]+`), "Leader: N\tReplicas: N\tIsr: N"},
	{regexp.MustCompile(`console-consumer-\d+`), "console-consumer-N"},
	{regexp.MustCompile(`correlation id \d+`), "correlation id N"},
	{regexp.MustCompile(`CreateTime:\d+`), "CreateTime:T"},
	{regexp.MustCompile(`Partition:\d+\tOffset:\d+(.*)(null)`), "Partition:N\tOffset:N${1}null"},
	{regexp.MustCompile(`Offset:\d+`), "Offset:N"},
	{regexp.MustCompile(`^(\w+:\d):\d+$`), "$1:offset"},
	{regexp.MustCompile(`low_watermark: \d\d+`), "low_watermark: N"},
	{regexp.MustCompile(`salt=[^,]+,stored_key=[^,]+,server_key=[^,]+`), "salt=S,stored_key=S,server_key=S"},
	{regexp.MustCompile(`node -?\d+ \(/[\d.:]+\)`), "node N"},
	{regexp.MustCompile(`(deadlineMs|tries|nextAllowedTryMs)=\d+`), "$1=N"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`Spec@[0-9a-f]+`), "Spec@N"},
	{regexp.MustCompile(`timed out at \d+ after \d+ attempt`), "timed out at N after N attempt"},
}

// leftOut are lines of a record that say what is not in it, and Java's own.
var leftOut = regexp.MustCompile(`lines left out\]|the same \d+ more times\]|^\s*$`)

// optionList is how a list of options begins.
var optionList = regexp.MustCompile(`^Option\s+Description`)

// normalize takes out of an output what differs from run to run.
func normalize(lines []string) []string {
	var normal []string
	for _, line := range lines {
		if optionList.MatchString(line) {
			return append(normal, "[list of options left out, see flags.tsv]")
		}
		for _, v := range volatile {
			line = v.pattern.ReplaceAllString(line, v.with)
		}
		repeated := strings.Contains(line, " WARN ") && slices.Contains(normal, line)
		if !leftOut.MatchString(line) && !repeated {
			normal = append(normal, line)
		}
	}
	return normal
}

// rule says how a command is replayed other than all others; the first whose text the command contains counts.
type rule struct {
	contains string
	skip     string   // why it is not run
	needs    kmsg.Key // it is run only if the broker serves this
	unsorted bool     // lines come in any order
	count    bool     // only the number of lines is the same
	once     bool     // a line may come several times

	only     *regexp.Regexp // the lines of standard output that count
	eventual bool           // the answer is the recorded one sooner or later
	random   bool           // the proposed replicas are any

	before func(t *testing.T) // is run first
}

var rules = []rule{
	{contains: "at-min-isr-partitions", skip: "with one replica all partitions are at their minimum"},
	{contains: "__consumer_offsets", skip: "shows the groups of a whole session"},
	{contains: "--describe --topic-list", skip: "shows three brokers"},
	{contains: "--broker-list 3 ", skip: "shows the third broker"},
	{contains: "--bootstrap-controller", once: true},
	{contains: "--group ", needs: kmsg.JoinGroup, unsorted: true},
	{contains: "--partition 4 --offset 1 ", skip: "records without a key are in any partition"},
	{contains: "--partition 0 --offset earliest", skip: "records without a key are in any partition"},
	{contains: "--max-messages 2", count: true},
	{contains: "kafka-console-consumer", unsorted: true},
	{contains: "kafka-get-offsets", unsorted: true},
	{contains: "kafka-delete-records", unsorted: true},
}

func ruleFor(rules []rule, line string) rule {
	for _, r := range rules {
		if strings.Contains(line, r.contains) {
			return r
		}
	}
	return rule{}
}

// replay runs a session and compares each answer. What has happened in between, as notes tell, happen
// makes happen.
func replay(t *testing.T, name string, rules []rule, adapt func(string) string, happen func(note string)) {
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	steps := parseSession(adapt(string(text)))
	t.Chdir(t.TempDir())
	writeFile(t, "fast.properties", "request.timeout.ms=1500\ndefault.api.timeout.ms=1500\n")
	for _, s := range steps {
		if strings.HasPrefix(s.line, "kafka-producer-perf-test ") { // it is not ours
			s.note = s.line
		}
		if s.note != "" {
			happen(s.note)
			continue
		}
		if file, ok := strings.CutPrefix(s.line, "cat "); ok {
			writeFile(t, file, strings.Join(s.stdout, "\n"))
			continue
		}
		t.Run(s.line, func(t *testing.T) { s.replay(t, ruleFor(rules, s.line)) })
	}
}

// servedRules returns the rules for a broker that may not serve all that the sessions need.
func servedRules(t *testing.T, bootstrap string, rules []rule) []rule {
	served := slices.Clone(rules)
	for i, r := range served {
		if r.needs != 0 && !serves(t, bootstrap, r.needs) {
			served[i].skip = "the broker does not serve " + r.needs.Name()
		}
	}
	return served
}

// serves reports whether the broker serves an API.
func serves(t *testing.T, bootstrap string, needed kmsg.Key) bool {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	resp, err := cl.Request(t.Context(), kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(resp.(*kmsg.ApiVersionsResponse).ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return k.ApiKey == needed.Int16()
	})
}

func (s step) replay(t *testing.T, r rule) {
	if r.skip != "" {
		t.Skip(r.skip)
	}
	if r.before != nil {
		r.before(t)
	}
	diff := s.compare(t, r)
	for deadline := time.Now().Add(30 * time.Second); r.eventual && diff != "" && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		diff = s.compare(t, r)
	}
	if diff != "" {
		t.Errorf("%s\n(-Kafka's tool +ours)\n%s", s.line, diff)
	}
}

// compare runs the command and returns how its answer differs from the recorded one.
func (s step) compare(t *testing.T, r rule) string {
	stdout, stderr, status := execute(t, s.stdin, splitLine(s.line)...)
	got := map[string][]string{
		"stdout": normalize(strings.Split(withoutInternal(stdout), "\n")),
		"stderr": normalize(strings.Split(stderr, "\n")),
		"exit":   {string(rune('0' + status))},
	}
	want := map[string][]string{
		"stdout": normalize(strings.Split(withoutInternal(strings.Join(s.stdout, "\n")), "\n")),
		"stderr": normalize(s.stderr),
		"exit":   {s.exit},
	}
	for _, name := range []string{"stdout", "stderr"} {
		recorded := s.stdout
		if name == "stderr" {
			recorded = s.stderr
		}
		if slices.ContainsFunc(recorded, func(line string) bool { return strings.Contains(line, "more lines left out]") }) {
			got[name] = slices.DeleteFunc(got[name], func(line string) bool { return !slices.Contains(want[name], line) })
		}
	}
	r.loosen(got)
	r.loosen(want)
	return cmp.Diff(want, got)
}

// proposed are the replicas in a plan.
var proposed = regexp.MustCompile(`"replicas":\[[\d,]+\]`)

// loosen takes out of an answer what the rule says does not count.
func (r rule) loosen(streams map[string][]string) {
	if r.only != nil {
		var counting []string
		for _, line := range streams["stdout"] {
			if r.only.MatchString(line) {
				counting = append(counting, line)
			}
		}
		streams["stdout"] = counting
	}
	if r.unsorted {
		slices.Sort(streams["stdout"])
		slices.Sort(streams["stderr"])
	}
	if r.once {
		for _, name := range []string{"stdout", "stderr"} {
			slices.Sort(streams[name])
			streams[name] = slices.Compact(streams[name])
		}
	}
	if r.random {
		if i := slices.Index(streams["stdout"], "Proposed partition reassignment configuration"); i >= 0 && i+1 < len(streams["stdout"]) {
			streams["stdout"][i+1] = proposed.ReplaceAllString(streams["stdout"][i+1], `"replicas":[]`)
		}
	}
	if r.count {
		for i := range streams["stdout"] {
			streams["stdout"][i] = "a line"
		}
	}
}

// withoutInternal takes out the offsets of the brokers' own topics, which depend on what else happened.
func withoutInternal(output string) string {
	return regexp.MustCompile(`(?m)^__\w+:\d+:\d+\n?`).ReplaceAllString(output, "")
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// closedAddress returns an address where nobody listens, nor will.
func closedAddress(t *testing.T) string {
	t.Helper()
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// TestSessions replays what was recorded of Kafka's tools, in an order in which each finds what the ones before
// have left. GREGORCTL_BOOTSTRAP names a broker to use instead of one of the test's own; it must be new.
func TestSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ZooKeeper and a broker")
	}
	bootstrap := os.Getenv("GREGORCTL_BOOTSTRAP")
	if bootstrap == "" {
		bootstrap = cluster.Start(t, 1, cluster.Props{"offsets.topic.replication.factor": "1"}).Bootstrap()
	}
	closed := closedAddress(t)
	replay := func(t *testing.T, name string) {
		adapt := func(text string) string { return adapt(text, bootstrap, closed) }
		replay(t, name, servedRules(t, bootstrap, rules), adapt, func(string) {})
	}
	for _, name := range []string{"kafka-cluster", "kafka-log-dirs", "kafka-topics", "kafka-console-producer", "kafka-console-consumer"} {
		t.Run(name, func(t *testing.T) { replay(t, name) })
	}
	prepareOffsets(t, bootstrap)
	for _, name := range []string{"kafka-delete-records", "kafka-get-offsets"} {
		t.Run(name, func(t *testing.T) { replay(t, name) })
	}
}

// prepareOffsets makes the topics that the record's later sessions saw, each partition with records.
func prepareOffsets(t *testing.T, bootstrap string) {
	t.Helper()
	for _, args := range [][]string{
		{"--delete", "--topic", "x"},
		{"--create", "--topic", "moving", "--partitions", "2"},
	} {
		if _, stderr, status := execute(t, "", append([]string{"kafka-topics", "--bootstrap-server", bootstrap}, args...)...); status != 0 {
			t.Fatalf("kafka-topics %v ended with %d\n%s", args, status, stderr)
		}
	}
	var keyed strings.Builder
	for i := range 200 {
		keyed.WriteString(string(rune('a'+i%26)) + string(rune('a'+i/26)) + "\tvalue\n")
	}
	for _, topic := range []string{"orders", "moving"} {
		_, stderr, status := execute(t, keyed.String(), "kafka-console-producer", "--bootstrap-server", bootstrap, "--topic", topic,
			"--property", "parse.key=true")
		if status != 0 || stderr != "" {
			t.Fatalf("kafka-console-producer ended with %d\n%s", status, stderr)
		}
	}
}
