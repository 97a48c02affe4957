package netns

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// current is the namespace of the calling thread.
const current = "/proc/thread-self/ns/net"

// namespace is a network namespace that lasts as long as its file is open, or something runs in it.
type namespace struct {
	file *os.File
}

// newNamespace makes an empty namespace.
func newNamespace() (*namespace, error) {
	var made *namespace
	unshare := func() error { return unix.Unshare(unix.CLONE_NEWNET) }
	err := onThread(unshare, func() error {
		file, err := os.Open(current)
		made = &namespace{file}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return made, nil
}

func (s *namespace) close() { s.file.Close() }

// path names the namespace for other processes, as long as it is open.
func (s *namespace) path() string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(s.file.Fd()))
}

// do calls f on a thread that is in the namespace: the sockets that f makes and the processes that it
// starts belong there. What f hands to other goroutines does not.
func (s *namespace) do(f func() error) error {
	return onThread(func() error { return unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET) }, f)
}

// onThread calls f between enter, which changes the thread's namespace, and a return to that of the process.
// The thread is not given up in between, and the runtime starts no others from it.
func onThread(enter, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open(current)
	if err != nil {
		return err
	}
	defer home.Close()
	if err := enter(); err != nil {
		return err // nothing has changed
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("netns: return to the network namespace of the process: %v", back))
	}
	return err
}
