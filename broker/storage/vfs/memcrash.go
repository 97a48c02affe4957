package vfs

import (
	"math/rand/v2"
	"slices"
)

// CrashClone returns the file system as it is after a power loss at this moment, and leaves m as it
// is. With a nil rng only what was synced is left. With one, a random part of the rest is left as
// well: of the unsynced changes of names some, in their order, and of the unsynced writes some, of
// which the last bytes may be missing, or missing in between. Where a later write made it and an
// earlier one did not, zeros fill the gap. Equal seeds leave equal files.
//
// Locks are gone.
func (m *Mem) CrashClone(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMem()
	c.Total, c.Usable = m.Total, m.Usable
	c.root = crash(m.root, rng, map[memNode]memNode{}).(*memDir)
	return c
}

// crash clones a node; done holds the clones made so far, since a file may have several names.
func crash(node memNode, rng *rand.Rand, done map[memNode]memNode) memNode {
	if c, ok := done[node]; ok {
		return c
	}
	switch n := node.(type) {
	case *memDir:
		c := newMemDir()
		done[node] = c
		left := make(map[string]memNode, len(n.synced))
		for name, child := range n.synced {
			left[name] = child
		}
		for _, op := range n.pending {
			if rng != nil && rng.IntN(2) == 0 {
				applyDirOp(left, op)
			}
		}
		for _, name := range sortedNames(left) {
			c.names[name] = crash(left[name], rng, done)
			c.synced[name] = c.names[name]
		}
		c.mtime = n.mtime
		return c
	case *memInode:
		data := slices.Clone(n.synced)
		for _, op := range n.pending {
			if rng != nil {
				data = tear(data, op, rng)
			}
		}
		c := &memInode{data: data, synced: slices.Clone(data), mtime: n.mtime}
		done[node] = c
		return c
	}
	return nil
}

func sortedNames(names map[string]memNode) []string {
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// sector is the largest write that a disk does whole or not at all.
const sector = 512

// tear applies op as a whole, in part or not at all.
func tear(data []byte, op fileOp, rng *rand.Rand) []byte {
	switch rng.IntN(4) {
	case 0:
		return data
	case 1:
		if op.truncate || len(op.data) == 0 {
			return data
		}
		op.data = op.data[:rng.IntN(len(op.data))]
		return applyFileOp(data, op)
	case 2:
		if op.truncate {
			return applyFileOp(data, op)
		}
		for at := 0; at < len(op.data); at += sector {
			if rng.IntN(2) == 0 {
				part := op.data[at:min(at+sector, len(op.data))]
				data = applyFileOp(data, fileOp{at: op.at + int64(at), data: part})
			}
		}
		return data
	}
	return applyFileOp(data, op)
}
