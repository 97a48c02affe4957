package dumplog_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gregor-mq/gregor/integration/kafka"
	"github.com/gregor-mq/gregor/tools/dumplog"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// TestSessions replays sessions that Kafka's tool has written the answers of: go test -rewrite with GREGORCTL_KAFKA=1 lets
// it write them again. Their commands:
//
//	write FILE            makes a file of bytes in hexadecimal; what follows # is a remark
//	cut FILE SIZE         makes a file shorter, or longer with zeros
//	flip FILE POSITION    inverts a byte
//	set FILE POSITION HEX writes bytes
//	dump ARGUMENT...      runs the tool
func TestSessions(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			path, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return command(t, d) })
		})
	}
}

func command(t *testing.T, d *datadriven.TestData) string {
	var args []string
	for _, arg := range d.CmdArgs {
		args = append(args, arg.String())
	}
	if d.Cmd == "dump" {
		return run(t, args)
	}
	file := args[0]
	data, err := os.ReadFile(file)
	number := func(i int) (n int) {
		if _, failed := fmt.Sscan(args[i], &n); failed != nil || err != nil {
			d.Fatalf(t, "%v, %v", failed, err)
		}
		return n
	}
	switch d.Cmd {
	case "write":
		data = decode(t, d, regexp.MustCompile(`#.*|\s+`).ReplaceAllString(d.Input, ""))
	case "cut":
		data = append(data, make([]byte, max(0, number(1)-len(data)))...)[:number(1)]
	case "flip":
		data[number(1)] ^= 0xff
	case "set":
		copy(data[number(1):], decode(t, d, args[2]))
	default:
		d.Fatalf(t, "unknown command")
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return ""
}

func decode(t *testing.T, d *datadriven.TestData, text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return data
}

// run runs our tool, or Kafka's, and returns what it has printed.
func run(t *testing.T, args []string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	status := 0
	if os.Getenv("GREGORCTL_KAFKA") != "" {
		cmd, err := kafka.Command(t.Context(), kafka.Options{TempDir: t.TempDir()}, "kafka-dump-log", args...)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			if _, ended := err.(*exec.ExitError); !ended {
				t.Fatal(err)
			}
			status = cmd.ProcessState.ExitCode()
		}
	} else {
		env := &tool.Env{Stdout: &stdout, Stderr: &stderr, Now: time.Now, Kafka: true, Name: "kafka-dump-log"}
		status = dumplog.Command().Main(context.Background(), env, args)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	answer := strings.ReplaceAll(stdout.String(), dir, "/dir")
	if answer != "" && !strings.HasSuffix(answer, "\n") {
		answer += "[no newline]\n"
	}
	for line := range strings.Lines(strings.ReplaceAll(stderr.String(), dir, "/dir")) {
		if strings.HasPrefix(line, "Option ") {
			answer += "stderr| [list of options]\n"
			break
		}
		if !frame.MatchString(line) {
			answer += "stderr| " + line
		}
	}
	for _, v := range volatile {
		answer = v.pattern.ReplaceAllString(answer, v.with)
	}
	return fmt.Sprintf("%sexit %d\n", answer, status)
}

// frame is a line about a stack of Java's, or what a library of Java's says of compressed bytes.
var frame = regexp.MustCompile(`^\s+(at |\.\.\. \d+ more)|^Caused by: (java\.util\.zip|com\.github\.luben|java\.io\.IOException|java\.lang\.IllegalArgumentException: Varint)`)

// volatile is what differs from run to run, with what stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\[B@[0-9a-f]+`), "[B@bytes"},
	{regexp.MustCompile(`(common\.KafkaException): (Failed to decompress|java\.).*`), "$1: [of a decompressor]"},
	{regexp.MustCompile("from file channel `[^`]+`"), "from file channel `channel`"},
}
