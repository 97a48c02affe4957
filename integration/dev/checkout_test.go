package dev

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// How long a step of a script, and compiling everything, may take on a machine that is busy with other tests.
const (
	patience     = 2 * time.Minute
	buildTimeout = 15 * time.Minute
)

// checkout is a copy of what git would check out, changes included, in which make is called.
type checkout struct {
	t   *testing.T
	dir string
}

// newCheckout copies the checkout that the test runs in, without what is only there to test it, and builds it.
// Processes that were started in the copy end with t.
func newCheckout(t *testing.T) *checkout {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("list the files of the checkout: %v", err)
	}
	c := &checkout{t, t.TempDir()}
	t.Cleanup(func() {
		for pid := range c.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // or it has just ended
		}
	})
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		if strings.HasPrefix(name, "integration/") && !strings.HasPrefix(name, "integration/dev/") {
			continue
		}
		copyFile(t, filepath.Join(root, name), filepath.Join(c.dir, name))
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	build := exec.CommandContext(ctx, "make", "build")
	build.Dir = c.dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	return c
}

// in returns the copy as t uses it.
func (c *checkout) in(t *testing.T) *checkout { return &checkout{t, c.dir} }

// copyFile copies a file with its permissions; one that is deleted but still known to git is left out.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if os.IsNotExist(err) {
		return
	}
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, info.Mode())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// processes returns the command lines of the processes that name the copy, by process id: ZooKeeper and the broker,
// which know their data directories.
func (c *checkout) processes() map[int]string {
	found := make(map[int]string)
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && bytes.Contains(line, []byte(c.dir)) {
			found[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return found
}

// file returns what a file below the copy holds, "" if it is not there.
func (c *checkout) file(name string) string {
	data, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	return string(data)
}

// command is a program in a process group of its own, as a shell starts it.
type command struct {
	*exec.Cmd
	t      *testing.T
	lines  chan string // of stdout; closed at its end
	stderr bytes.Buffer
}

// start starts a program in the copy, with additions to the environment.
func (c *checkout) start(environment []string, name string, args ...string) *command {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*patience)
	c.t.Cleanup(cancel)
	cmd := &command{Cmd: exec.CommandContext(ctx, name, args...), t: c.t, lines: make(chan string, 100)}
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = &cmd.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	defer heedInterrupts()()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	go func() { // ends with the process, whose end closes the pipe
		defer close(cmd.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			cmd.lines <- s.Text()
		}
	}()
	return cmd
}

// heedInterrupts has programs that are started heed SIGINT until the returned function is called, even if the tests were started with it
// ignored, as a shell starts what it does not wait for: a program inherits that, and no shell can undo it.
func heedInterrupts() (undo func()) {
	if !signal.Ignored(syscall.SIGINT) {
		return func() {}
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT) // a handler is no handler, but neither ignored, after exec
	return func() {
		signal.Stop(c)
		signal.Ignore(syscall.SIGINT)
	}
}

// expect returns what follows prefix in the next line of stdout that has it.
func (c *command) expect(prefix string) string {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
			if !ok {
				err := c.Wait()
				c.t.Fatalf("%v ended without a line %q: %v\n%s", c.Args, prefix, err, c.stderr.String())
			}
		case <-timeout:
			c.t.Fatalf("no line %q from %v", prefix, c.Args)
		}
	}
}

// signal sends a signal to the process group, as a terminal does.
func (c *command) signal(sig syscall.Signal) {
	if err := syscall.Kill(-c.Process.Pid, sig); err != nil {
		c.t.Errorf("signal %v: %v", c.Args, err)
	}
}

// end waits for the end and returns the exit status, -1 after a signal, and what was written to stderr.
func (c *command) end() (int, string) {
	c.t.Helper()
	for range c.lines { // all must have been read before Wait
	}
	if err := c.Wait(); c.ProcessState == nil {
		c.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), c.stderr.String()
}

func environment(name string, value any) string { return fmt.Sprintf("%s=%v", name, value) }
