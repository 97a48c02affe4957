package server

import (
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// Logs leave half of the process's file descriptors to others, and connections a quarter, however few there are.
func TestDescriptorsAreShared(t *testing.T) {
	for limit, want := range map[descriptors][2]int{
		math.MaxUint64: {mostOpenFiles, math.MaxInt32}, 1 << 20: {mostOpenFiles, 1<<20 - mostKept}, 4096: {mostOpenFiles, 3072},
		1024: {512, 768}, 256: {128, 192}, 1: {1, 1},
	} {
		if files, connections := limit.files(), limit.connections(); files != want[0] || connections != want[1] {
			t.Errorf("of %d descriptors logs have %d and connections %d, want %v", limit, files, connections, want)
		}
	}
}

// Whoever reads the log learns what to do, and is told once.
func TestShortageIsToldOnce(t *testing.T) {
	for err, want := range map[syscall.Errno]string{syscall.EMFILE: fmt.Sprintf("%d: raise ulimit -n", ownDescriptors()), syscall.ENFILE: "fs.file-max"} {
		logger, hook := logtest.NewNullLogger()
		s := &shortage{log: logger}
		for range 3 {
			s.tell(fmt.Errorf("open: %w", err))
		}
		if len(hook.Entries) != 1 || hook.LastEntry().Level != logrus.WarnLevel || !strings.Contains(hook.LastEntry().Message, want) {
			t.Errorf("%v is logged as %+v", err, hook.Entries)
		}
	}
}
