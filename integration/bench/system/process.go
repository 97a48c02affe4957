// Package system runs the programs that are measured, each in a process of its own, and asks the
// kernel what they use.
package system

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// stopPatience is how long a program may take to end in order. Kafka, with 5,000 partitions and busy processors, has been
// seen to need more than a minute and a half.
const stopPatience = 5 * time.Minute

// Program is a server that can be started and ended several times, on the same address and data. It
// is used by one goroutine at a time, and dies with this process.
type Program struct {
	name    string
	dir     string
	port    int
	command func() (*exec.Cmd, error)
	// Of a broker: host:port/chroot, and its id.
	zooKeeper string
	id        int
	files     []string // of the bare program

	cmd  *exec.Cmd
	exit chan struct{} // closed once cmd has been waited for
}

// newProgram makes a directory for the program and finds it a port.
func newProgram(name, dir string) (*Program, error) {
	port, err := cluster.FreePort()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Program{name: name, dir: dir, port: port}, nil
}

// Addr returns the address that the program listens on, host:port.
func (p *Program) Addr() string { return "127.0.0.1:" + strconv.Itoa(p.port) }

// ID returns the id of a broker, or of the bare program among several.
func (p *Program) ID() int { return p.id }

// Dir returns the directory of everything that the program writes.
func (p *Program) Dir() string { return p.dir }

// Data returns the directory of its data.
func (p *Program) Data() string { return filepath.Join(p.dir, "data") }

// Start starts the process and returns the moment before it was there. It does not wait until the
// program can be used.
func (p *Program) Start() (time.Time, error) {
	cmd, err := p.command()
	if err != nil {
		return time.Time{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return time.Time{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C is for us; we end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	moment := time.Now()
	if err := cmd.Start(); err != nil {
		return time.Time{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	exit := make(chan struct{})
	go func() { // ends with the process
		cmd.Wait()
		close(exit)
	}()
	p.cmd, p.exit = cmd, exit
	return moment, nil
}

// While derives a context that ends with the process, the end of its log being the cause.
func (p *Program) While(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	exit := p.exit
	go func() { // ends with ctx, which the caller cancels
		select {
		case <-exit:
			cancel(fmt.Errorf("%s has ended:\n%s", p.name, p.Log()))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// Stop ends the program with SIGTERM and waits until it is gone.
func (p *Program) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the program with SIGKILL and waits until it is gone.
func (p *Program) Kill() { p.end(syscall.SIGKILL) }

func (p *Program) end(sig syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	cmd := p.cmd
	p.cmd = nil
	cmd.Process.Signal(sig)
	select {
	case <-p.exit:
		return nil
	case <-time.After(stopPatience):
		cmd.Process.Kill()
		<-p.exit
		return fmt.Errorf("%s did not end within %v of %v", p.name, stopPatience, sig)
	}
}

func (p *Program) logFile() string { return filepath.Join(p.dir, "log") }

// logShown is how much of a log is shown, in bytes.
const logShown = 4 << 10

// Log returns the end of what the program has logged.
func (p *Program) Log() string {
	log, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	if cut := len(log) - logShown; cut > 0 {
		log = log[cut:]
		log = log[bytes.IndexByte(log, '\n')+1:]
	}
	return string(log)
}

// CPU returns the processor time that the process has used, in user mode and in the kernel.
func (p *Program) CPU() (time.Duration, error) {
	if p.cmd == nil {
		return 0, fmt.Errorf("%s does not run", p.name)
	}
	return cpuTime(p.cmd.Process.Pid)
}

// OpenFiles returns how many files, sockets among them, the process has open.
func (p *Program) OpenFiles() (int, error) {
	if p.cmd == nil {
		return 0, fmt.Errorf("%s does not run", p.name)
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(entries), err
}

// RSS returns the bytes of memory that the process holds, VmRSS.
func (p *Program) RSS() (int64, error) {
	if p.cmd == nil {
		return 0, fmt.Errorf("%s does not run", p.name)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseRSS(text)
}
