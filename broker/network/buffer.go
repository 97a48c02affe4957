package network

import (
	"math/bits"
	"sync"
)

// Buffers come in sizes of powers of four from minBuffer on. Those up to maxPooled are pooled, larger
// ones are left to the garbage collector, as is what the pools hold after two collections.
const (
	minBuffer     = 16 << 10
	maxPooled     = 4 << 20
	bufferClasses = 5 // 16 KiB, 64 KiB, 256 KiB, 1 MiB, 4 MiB
)

// buffer is a block of memory that goes round through the pools.
type buffer struct {
	b []byte // its length is its capacity
}

var bufferPools [bufferClasses]sync.Pool

// bufferClass returns the smallest class that holds n bytes.
func bufferClass(n int) int {
	if n <= minBuffer {
		return 0
	}
	return (bits.Len(uint(n-1)/minBuffer) + 1) / 2
}

// getBuffer returns a buffer of at least n bytes.
func getBuffer(n int) *buffer {
	if n > maxPooled {
		return &buffer{make([]byte, n)}
	}
	class := bufferClass(n)
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, minBuffer<<(2*class))}
}

// putBuffer gives b back; it must not be used after that.
func putBuffer(b *buffer) {
	scribble(b.b)
	b.b = b.b[:cap(b.b)]
	if class := bufferClass(len(b.b)); len(b.b) <= maxPooled && len(b.b) == minBuffer<<(2*class) {
		bufferPools[class].Put(b)
	}
}
