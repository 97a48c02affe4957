package server

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

const (
	// mostOpenFiles is how many of their files logs keep open, at most.
	mostOpenFiles = 1024
	// mostKept is how many descriptors are kept from connections, at most.
	mostKept = 1024
)

// descriptors is how many files and sockets the process may have open (ulimit -n), and who may have how many of them.
//
// Logs may have half of them, and clients' connections three quarters: those that have most to do take what the others
// leave, since a log gives a file that is not in use back when a descriptor is wanted (vfs.Frugal). The last quarter is for
// files in use, connections to ZooKeeper and other brokers, and checkpoints.
type descriptors uint64

// ownDescriptors returns those of this process. Go's runtime has raised the soft limit to the hard one.
func ownDescriptors() descriptors {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64
	}
	return descriptors(limit.Cur)
}

// files returns how many files logs may keep open.
func (n descriptors) files() int { return int(max(1, min(n/2, mostOpenFiles))) }

// connections returns how many connections may be accepted.
func (n descriptors) connections() int {
	return int(max(1, min(n-min(n/4, mostKept), math.MaxInt32)))
}

// shortagePeriod is the time between two lines that say the same of a want of descriptors.
const shortagePeriod = time.Minute

// shortage tells of a want of descriptors, in one line however many operations meet it.
type shortage struct {
	log logrus.FieldLogger

	mu   sync.Mutex
	told time.Time
}

// tell logs err, which is EMFILE or ENFILE, unless it did so a moment ago.
func (s *shortage) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.told) < shortagePeriod {
		return
	} else {
		s.told = now
	}
	why := fmt.Sprintf("this process has as many files and sockets open as it may, %d: raise ulimit -n (LimitNOFILE)", ownDescriptors())
	if errors.Is(err, syscall.ENFILE) {
		why = "the system has no more: raise sysctl fs.file-max"
	}
	s.log.WithError(err).Warn("Out of file descriptors, files of logs that are not in use are closed: " + why)
}
