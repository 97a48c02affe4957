package groups

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// newCommand returns a run with the given options, and what it prints.
func newCommand(t *testing.T, kafka bool, args ...string) (*command, *strings.Builder, *strings.Builder) {
	t.Helper()
	set, err := options().Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	return &command{env: &tool.Env{Stdout: &out, Stderr: &errs, Kafka: kafka}, options: set}, &out, &errs
}

func TestCheck(t *testing.T) {
	const server = "--bootstrap-server s "
	const one = "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets"
	tests := []struct{ args, want string }{
		{server + "--list", ""},
		{server + "--list --state stable --type", ""},
		{server + "--describe --group g --members --verbose", ""},
		{server + "--delete --all-groups", ""},
		{server + "--delete-offsets --group g --topic t:0", ""},
		{server + "--reset-offsets --group g --topic t --to-earliest --execute", ""},
		{"--list", `Missing required argument "[bootstrap-server]"`},
		{server, one},
		{server + "--describe --group g --delete-offsets --topic t", `Option "[topic]" can't be used with option "[describe]"`},
		{server + "--delete --reset-offsets --group g --dry-run", one},
		{server + "--describe", "Option [describe] takes one of these options: [reset-offsets], [describe], [delete], [list]"},
		{server + "--describe --group g --state x", "Option [describe] does not take a value for [state]"},
		{server + "--describe --group g --state x --state y", "Found multiple arguments for option state, but you asked for only one"},
		{server + "--describe --group g --offsets --state", "Option [describe] takes at most one of these options: [members], [offsets], [state]"},
		{server + "--delete", "Option [delete] takes one of these options: [all-groups], [group]"},
		{server + "--delete --group g --topic t", "The consumer does not support topic-specific offset deletion from a consumer group."},
		{server + "--delete-offsets --group g", "Option [delete-offsets] takes the following options: [all-groups], [group]"},
		{server + "--reset-offsets --dry-run", "Option [reset-offsets] takes one of these options: [all-groups], [group]"},
		{server + "--reset-offsets --dry-run --execute", "Option [reset-offsets] only accepts one of [execute] and [dry-run]"},
		{server + "--reset-offsets --dry-run --group g --to-latest --to-current", `Option "[to-latest]" can't be used with option "[to-current]"`},
		{server + "--list --group g", `Option "[group]" can't be used with option "[list]"`},
		{server + "--describe --group g --all-groups", `Option "[group]" can't be used with option "[all-groups]"`},
	}
	for _, tt := range tests {
		c, _, _ := newCommand(t, true, strings.Fields(tt.args)...)
		got := ""
		if err := check(c.env, c.options); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

// TestReport checks what errors are printed as, and that only wrong arguments change the exit status.
func TestReport(t *testing.T) {
	missing := throwable.InFuture(throwable.New(throwable.Timeout, "Too late."))
	const said = "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TimeoutException: Too late."
	tests := []struct {
		err            error
		kafka          bool
		stdout, stderr string
		usage          string
	}{
		{},
		{err: throwable.InRuntime(missing), kafka: true, stdout: "\nError: Executing consumer group command failed due to " + said + "\n",
			stderr: "java.lang.RuntimeException: " + said + "\nCaused by: " + said + "\nCaused by: org.apache.kafka.common.errors.TimeoutException: Too late.\n"},
		{err: throwable.InRuntime(missing), stdout: "\nError: Executing consumer group command failed due to " + said + "\n"},
		{err: throwable.New(throwable.IllegalArgument, "100 % wrong"), kafka: true, usage: "100 % wrong"},
		{err: tool.Usagef("No such scope"), usage: "No such scope"},
		{err: throwable.InRuntime(throwable.New(throwable.IllegalArgument, "x")), stdout: "\nError: Executing consumer group command failed due to java.lang.IllegalArgumentException: x\n"},
	}
	for i, tt := range tests {
		c, out, errs := newCommand(t, tt.kafka)
		err, usage := c.report(tt.err), ""
		if err != nil {
			usage = err.Error()
		}
		if usage != tt.usage || out.String() != tt.stdout || errs.String() != tt.stderr {
			t.Errorf("%d: got %q, %q, %q", i, usage, out, errs)
		}
	}
}

func TestParsePartitions(t *testing.T) {
	tests := []struct{ arg, want string }{
		{"orders:0,1,2", "[orders-0 orders-1 orders-2]"},
		{"orders:1,", "[orders-1]"},
		{"orders:+1:", "[orders-1]"},
		{"orders:-1", "[orders--1]"},
		{":1", "[-1]"},
		{"orders:", "Invalid topic arg 'orders:', expected topic name and partitions"},
		{"orders:1:2", "Invalid topic arg 'orders:1:2', expected topic name and partitions"},
		{"orders:,1", "Invalid partition '' specified in topic arg 'orders:,1''"},
		{"orders:1-3", "Invalid partition '1-3' specified in topic arg 'orders:1-3''"},
		{"orders:2147483648", "Invalid partition '2147483648' specified in topic arg 'orders:2147483648''"},
	}
	for _, tt := range tests {
		partitions, err := parsePartitions(tt.arg)
		got := fmt.Sprint(partitions)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.arg, got, tt.want)
		}
	}
}

func TestFilter(t *testing.T) {
	const invalid = "Invalid state list '%s'. Valid states are: PreparingRebalance, CompletingRebalance, Stable, Dead, Empty, Assigning, Reconciling"
	for text, want := range map[string]string{
		"stable":                      "[Stable]",
		" EMPTY , preparingrebalance": "[Empty PreparingRebalance]",
		"stable,":                     "[Stable]",
		",":                           "[]",
		"":                            "[]",
		",stable":                     fmt.Sprintf(invalid, ",stable"),
		"unknown":                     fmt.Sprintf(invalid, "unknown"),
	} {
		c, _, _ := newCommand(t, true, "--list", "--state", text)
		named, err := c.filter(state, "state", states)
		got := fmt.Sprint(named)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestPlansAreReadAsWritten checks that what --export prints is what --from-file reads, for one group and for several.
func TestPlansAreReadAsWritten(t *testing.T) {
	var a, b plan
	a.set(topic.Partition{Topic: "orders", Index: 1}, 5)
	a.set(topic.Partition{Topic: "a-topic-with-a-rather-long-name", Index: 0}, 7)
	b.set(topic.Partition{Topic: "orders", Index: 0}, 1<<40)
	for name, plans := range map[string]map[string]plan{"one": {"g, 1": a}, "several": {"g, 1": a, "h": b}} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "plan.csv")
			args := []string{"--reset-offsets", "--from-file", file}
			var order []string
			for group := range plans {
				order = append(order, group)
				args = append(args, "--group", group)
			}
			c, _, _ := newCommand(t, false, args...)
			if err := os.WriteFile(file, []byte(c.exported(order, plans)), 0o600); err != nil {
				t.Fatal(err)
			}
			read, err := c.readPlans()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plans, read, cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("(-written +read)\n%s", diff)
			}
		})
	}
}

func TestPrintState(t *testing.T) {
	c, out, errs := newCommand(t, true)
	group := client.Group{Coordinator: client.Node{ID: 7, Host: "a-broker-with-a-long-name.example.org", Port: 9092}, State: "Assigning", Assignor: "uniform"}
	if err := c.printState("g", group); err != nil {
		t.Fatal(err)
	}
	want := "\nGROUP                                           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS" +
		"\ng                                               a-broker-with-a-long-name.example.org:9092  (7) uniform              Assigning       0\n"
	if out.String() != want || errs.String() != "\nWarning: Consumer group 'g' is rebalancing.\n" {
		t.Errorf("got\n%s%s", out, errs)
	}
	if err := c.printState("g", client.Group{State: unknown}); err == nil || err.Error() != "Expected a valid consumer group state, but found 'Unknown'." {
		t.Errorf("a state that nobody knows gives %v", err)
	}
}
