package zkutil

import (
	"sync"
	"time"
)

// A server that is sent more than its jute.maxbuffer, which is 1 MiB unless it was raised, closes the
// connection and says nothing; sent again after every reconnection, such a request would keep all
// others from being answered. So one that is suspiciousBytes long is given up when the connection was
// lost largeAttempts times behind it, and for a while those as long as it are refused at once.
const (
	suspiciousBytes = 1_000_000
	largeAttempts   = 3
	refusedFor      = time.Minute
)

// sizeLimit is what is known of the server's limit.
type sizeLimit struct {
	mu struct {
		sync.Mutex
		bytes int // no request of this length gets through; 0: not known
		until time.Time
	}
}

// refuses reports whether a request of size bytes need not be tried.
func (l *sizeLimit) refuses(size int, now time.Time) bool {
	if size < suspiciousBytes {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.bytes > 0 && size >= l.mu.bytes && now.Before(l.mu.until)
}

// learn notes that a request of size bytes does not get through.
func (l *sizeLimit) learn(size int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.bytes == 0 || size < l.mu.bytes || !now.Before(l.mu.until) {
		l.mu.bytes = size
	}
	l.mu.until = now.Add(refusedFor)
}
