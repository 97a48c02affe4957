package wire

import (
	"hash/maphash"
	"sync"
)

// Names that come with every request (client ids, topics) are kept, so that reading one again costs
// no allocation. At most internShards*internEntries names of internNameMax bytes are kept: 8 MiB.
const (
	internShards  = 16
	internEntries = 2048
	internNameMax = 255
)

type internShard struct {
	mu struct {
		sync.RWMutex
		names map[string]string
	}
	_ [64]byte // a cache line between locks
}

var (
	internSeed  = maphash.MakeSeed()
	internTable [internShards]internShard
)

// Intern returns b as a string, which is shared with other callers. A full shard is emptied: many
// random names make Intern allocate, and never more than that.
func Intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > internNameMax {
		return string(b)
	}
	shard := &internTable[maphash.Bytes(internSeed, b)%internShards]
	shard.mu.RLock()
	s, ok := shard.mu.names[string(b)]
	shard.mu.RUnlock()
	if ok {
		return s
	}
	s = string(b)
	shard.mu.Lock()
	if shard.mu.names == nil || len(shard.mu.names) >= internEntries {
		shard.mu.names = make(map[string]string)
	}
	shard.mu.names[s] = s
	shard.mu.Unlock()
	return s
}
