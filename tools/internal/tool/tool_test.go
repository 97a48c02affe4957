package tool

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func testEnv(kafka bool) (*Env, *strings.Builder, *strings.Builder) {
	var out, errs strings.Builder
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC) }
	env := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: now, Name: "gregorctl test", Kafka: kafka}
	if kafka {
		env.Name = "kafka-test"
	}
	return env, &out, &errs
}

func TestMainOfCommand(t *testing.T) {
	failure := error(nil)
	command := &Command{
		Name: "test", Script: "kafka-test", Short: "Test", About: "This tool tests.", Examples: "NAME --list",
		Options: jopt.New(jopt.Option{Name: "list"}),
		Run:     func(context.Context, *Env, *jopt.Set) error { return failure },
	}
	exception := throwable.New(throwable.Config, "Wrong.")
	tests := []struct {
		name   string
		args   string
		kafka  bool
		err    error
		stdout string // what they begin with
		stderr string
		status int
	}{
		{name: "all is well", args: "--list"},
		{name: "nothing given", kafka: true, stderr: "This tool tests.\nOption", status: 1},
		{name: "nothing given, friendly", stderr: "Test.\n\nUsage:", status: 1},
		{name: "help", args: "--help", kafka: true, stderr: "This tool tests.\nOption", status: 1},
		{name: "help, friendly", args: "--help", stdout: "Test.\n\nUsage:\n  gregorctl test"},
		{name: "version", args: "--version", kafka: true, stdout: "3.9.2\n"},
		{name: "usage", args: "--list", kafka: true, err: Usagef("Not %s.", "so"), stderr: "Not so.\nOption", status: 1},
		{name: "usage, friendly", args: "--list", err: Usagef("Not so."), stderr: "Not so.\ngregorctl test --help lists the options.\n", status: 1},
		{name: "exception", args: "--list", kafka: true, err: exception,
			stderr: "Wrong.\norg.apache.kafka.common.config.ConfigException: Wrong.\n\n", status: 1},
		{name: "exception, friendly", args: "--list", err: exception, stderr: "Wrong.\n", status: 1},
		{name: "exit", args: "--list", err: errors.Join(Exit(7)), status: 7},
		{name: "wrong option, friendly", args: "--no", stderr: "no is not a recognized option\ngregorctl test --help lists the options.\n", status: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env, stdout, stderr := testEnv(tt.kafka)
			failure = tt.err
			status := command.Main(t.Context(), env, strings.Fields(tt.args))
			if status != tt.status || !begins(stdout.String(), tt.stdout) || !begins(stderr.String(), tt.stderr) {
				t.Errorf("got %d\nstdout:\n%s\nstderr:\n%s\nwant %d, %q, %q", status, stdout, stderr, tt.status, tt.stdout, tt.stderr)
			}
		})
	}
}

func begins(text, with string) bool {
	return strings.HasPrefix(text, with) && (with != "" || text == "")
}

func TestLog(t *testing.T) {
	env, _, stderr := testEnv(true)
	env.Log("WARN", "a.Class", "Beware")
	env.LogError("a.Class", "Broken", throwable.New(throwable.Timeout, ""))
	want := "[2026-01-02 03:04:05,678] WARN Beware (a.Class)\n" +
		"[2026-01-02 03:04:05,678] ERROR Broken (a.Class)\norg.apache.kafka.common.errors.TimeoutException\n"
	if stderr.String() != want {
		t.Errorf("got\n%swant\n%s", stderr, want)
	}
}

func TestChecks(t *testing.T) {
	options, err := jopt.New(jopt.Option{Name: "a"}, jopt.Option{Name: "b"}, jopt.Option{Name: "c"}).Parse([]string{"--a", "--b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{CheckRequired(options, "a", "b"), ""},
		{CheckRequired(options, "a", "c"), `Missing required argument "[c]"`},
		{CheckExcluded(options, "a", "c"), ""},
		{CheckExcluded(options, "c", "a"), ""},
		{CheckExcluded(options, "a", "c", "b"), `Option "[a]" can't be used with option "[b]"`},
	} {
		got := ""
		if tt.err != nil {
			got = tt.err.Error()
		}
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if IsTerminal(null) || IsTerminal(io.Discard) {
		t.Error("what is no terminal was taken for one")
	}
}

func TestReadFile(t *testing.T) {
	_, err := ReadFile("nofile.json")
	want := "java.io.IOException: Unable to read file nofile.json\nCaused by: java.nio.file.NoSuchFileException: nofile.json\n"
	if err == nil || throwable.Trace(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
