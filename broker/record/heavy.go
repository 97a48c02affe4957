package record

import "runtime"

// rebuildSlots bounds how many batches from producers are built anew at a time: each takes a compressor, which has
// megabytes of tables and history, and a batch. More than one for each processor makes nothing faster, only larger.
// Nobody who waits for one holds a permit of heavyPermits; whoever has one may wait for those.
var rebuildSlots = make(chan struct{}, runtime.GOMAXPROCS(0)+1)

// heavyBytes is the buffer size from which decompressing a batch takes one of the permits.
const heavyBytes = 8 << 20

// heavyPermits bounds how many batches that need large buffers are decompressed at a time: a record,
// a snappy block or a zstd window beyond heavyBytes. With MaxRecordBytes and zstdMaxWindow it bounds
// what hostile batches can make the broker hold, to about 300 MiB each. Ordinary batches never wait.
var heavyPermits = make(chan struct{}, 2)

// heavy is a permit, or the right to take one. Its zero value holds none.
type heavy struct{ held bool }

// acquire waits for a permit, unless one is held.
func (h *heavy) acquire() {
	if !h.held {
		heavyPermits <- struct{}{}
		h.held = true
	}
}

// release gives the permit back if one is held.
func (h *heavy) release() {
	if h.held {
		<-heavyPermits
		h.held = false
	}
}
