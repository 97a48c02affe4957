package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/kafka"
)

// toolTimeout ends a program that would otherwise hold up the tests. Some move 50 MB, on slow machines too.
const toolTimeout = 6 * time.Minute

// A Result is how a program ended and what it wrote.
type Result struct {
	Command string
	Stdout  []byte
	Stderr  []byte
	Exit    int // -1 if it was ended by a signal
}

// Kcat runs kcat with the given standard input, which may be nil, and fails t if kcat does.
func Kcat(t testing.TB, stdin io.Reader, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Fatal("kcat is missing: install it (Debian: apt-get install kcat)")
	}
	return must(t, stdin, exec.Command("kcat", args...)).Stdout
}

// Tool runs one of Kafka's command-line tools by its script's name, as in kafka-topics, and returns
// how it ended, whatever that is.
func Tool(t testing.TB, stdin io.Reader, name string, args ...string) Result {
	t.Helper()
	return Run(t, stdin, toolCommand(t, name, args))
}

// MustTool is Tool for one that has to end well.
func MustTool(t testing.TB, stdin io.Reader, name string, args ...string) []byte {
	t.Helper()
	return must(t, stdin, toolCommand(t, name, args)).Stdout
}

func toolCommand(t testing.TB, name string, args []string) *exec.Cmd {
	t.Helper()
	cmd, err := kafka.Command(context.Background(), kafka.Options{TempDir: t.TempDir()}, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Gregorctl runs gregorctl, built from the checkout, and returns how it ended.
func Gregorctl(t testing.TB, stdin io.Reader, args ...string) Result {
	t.Helper()
	program, err := Binary("gregorctl")
	if err != nil {
		t.Fatal(err)
	}
	return Run(t, stdin, exec.Command(program, args...))
}

func must(t testing.TB, stdin io.Reader, cmd *exec.Cmd) Result {
	t.Helper()
	r := Run(t, stdin, cmd)
	if r.Exit != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", r.Command, r.Exit, r.Stdout, r.Stderr)
	}
	return r
}

// Run runs a program to its end and fails t if it cannot be started or takes longer than toolTimeout.
func Run(t testing.TB, stdin io.Reader, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r := Result{Command: shown(cmd)}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", r.Command, err)
	}
	timer := time.AfterFunc(toolTimeout, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%s did not end within %v\n%s%s", r.Command, toolTimeout, stdout.Bytes(), stderr.Bytes())
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", r.Command, err)
	}
	r.Stdout, r.Stderr, r.Exit = stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode()
	return r
}

// shown returns the command without the long options of a JVM.
func shown(cmd *exec.Cmd) string {
	args := cmd.Args
	for i, arg := range args {
		if arg == "-cp" && i+2 < len(args) {
			args = args[i+2:]
			break
		}
	}
	return strings.Join(args, " ")
}
