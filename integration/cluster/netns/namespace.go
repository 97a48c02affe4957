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
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		file, err := os.Open(current)
		made = &namespace{file}
		return err
	})
	if err != nil {
		return nil, err
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
	return onThread(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

// onThread calls f, which may change the thread's namespace, and puts that back. The thread is not given
// up in between; the runtime starts no others from it. One that cannot be put back is never used again.
func onThread(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(current)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("netns: return to the network namespace of the process: %v", back))
	}
	runtime.UnlockOSThread()
	return err
}
