package server

import (
	"math"
	"testing"
)

// Logs leave half of the process's file descriptors to others, however few there are.
func TestLogsKeepWithinTheLimitOfOpenFiles(t *testing.T) {
	for limit, want := range map[uint64]int{math.MaxUint64: mostOpenFiles, 4096: mostOpenFiles, 1024: 512, 1: 1} {
		if got := openFilesOf(limit); got != want {
			t.Errorf("of %d descriptors %d files may stay open, want %d", limit, got, want)
		}
	}
}
