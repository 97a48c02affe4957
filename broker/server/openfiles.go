package server

import "golang.org/x/sys/unix"

// mostOpenFiles is how many of their files logs keep open between uses, at most.
const mostOpenFiles = 1024

// openFiles returns how many files logs may keep open between uses: half of what the process may have, the rest of which is
// for connections and for files in use. Beyond that limit (ulimit -n) an open file fails, and its log directory with it.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return mostOpenFiles
	}
	return openFilesOf(limit.Cur)
}

// openFilesOf is openFiles with a limit. Go's runtime has raised the soft limit to the hard one.
func openFilesOf(limit uint64) int { return int(max(1, min(limit/2, mostOpenFiles))) }
