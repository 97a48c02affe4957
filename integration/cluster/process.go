package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// A process is a server that can be started and ended several times. Its output is appended to one
// file. It dies with the process that started it.
type process struct {
	name    string
	logFile string
	command func() (*exec.Cmd, error)
	node    *netns.Node // nil on loopback

	mu struct {
		sync.Mutex
		cmd  *exec.Cmd     // nil while the process does not run
		exit chan struct{} // closed once cmd has been waited for
	}
}

// launch starts the process and waits until ready says so. A process that is not ready in time, or
// ends before, is an error that holds the end of its log.
func (p *process) launch(timeout time.Duration, ready func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd != nil {
		return fmt.Errorf("%s runs already", p.name)
	}
	cmd, err := p.command()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = lifeline()
	if err := startAt(p.node, cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	exit := make(chan struct{})
	go func() { // ends with the process
		cmd.Wait()
		close(exit)
	}()
	if err := p.await(exit, timeout, ready); err != nil {
		cmd.Process.Kill()
		<-exit
		return err
	}
	p.mu.cmd, p.mu.exit = cmd, exit
	return nil
}

// lifeline ties a server to this process: one that is killed takes its servers with it. Ctrl-C is for this
// process alone, which ends its servers in the order that it wants.
func lifeline() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

func (p *process) await(exit <-chan struct{}, timeout time.Duration, ready func() bool) error {
	for deadline := time.Now().Add(timeout); !ready(); {
		select {
		case <-exit:
			return fmt.Errorf("%s ended as it started:\n%s", p.name, p.logTail())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s was not ready within %v:\n%s", p.name, timeout, p.logTail())
		}
	}
	return nil
}

// end sends sig, waits until the process is gone and returns how it ended. One that is still there
// after the timeout is killed, which is an error, unless none is running, which is not.
func (p *process) end(sig syscall.Signal, timeout time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd == nil {
		return nil
	}
	cmd, exit := p.mu.cmd, p.mu.exit
	p.mu.cmd = nil
	cmd.Process.Signal(sig)
	cmd.Process.Signal(syscall.SIGCONT) // a paused process sees no other signal but SIGKILL
	select {
	case <-exit:
	case <-time.After(timeout):
		cmd.Process.Kill()
		<-exit
		return fmt.Errorf("%s did not end within %v of %v", p.name, timeout, sig)
	}
	// A JVM that has ended in order because of a signal says so with the status 128 and the signal.
	if code := cmd.ProcessState.ExitCode(); sig != syscall.SIGKILL && code != 0 && code != 128+int(sig) {
		return fmt.Errorf("%s ended with %v", p.name, cmd.ProcessState)
	}
	return nil
}

// signal sends sig if the process runs.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd != nil {
		p.mu.cmd.Process.Signal(sig)
	}
}

// exited returns a channel that is closed when the process has ended, nil if none runs.
func (p *process) exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd == nil {
		return nil
	}
	return p.mu.exit
}

// pid returns the process's id, 0 if none runs.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd == nil {
		return 0
	}
	return p.mu.cmd.Process.Pid
}

// logSize returns the size of the log, 0 if there is none.
func (p *process) logSize() int64 {
	info, err := os.Stat(p.logFile)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logSince returns what the process has written after the first size bytes.
func (p *process) logSince(size int64) string {
	log, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(log[min(size, int64(len(log))):])
}

// logShown is how much of a log is shown of a test that failed.
const logShown = 64 << 10

// logTail returns the last lines that the process has written.
func (p *process) logTail() string {
	log, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	if cut := len(log) - logShown; cut > 0 {
		log = log[cut:]
		if line := bytes.IndexByte(log, '\n'); line >= 0 {
			log = log[line+1:]
		}
		return "[" + strconv.Itoa(cut) + " bytes left out]\n" + string(log)
	}
	return string(log)
}
