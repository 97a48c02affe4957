package compact

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/dchest/siphash"
)

// SlotBytes is the memory that a key takes in an OffsetMap, whatever its length; it is that of Kafka,
// so that log.cleaner.dedupe.buffer.size means the same.
const SlotBytes = 24

// OffsetMap knows the last offset of each key in bounded memory (SkimpyOffsetMap). Of a key it keeps
// 128 bits of SipHash-2-4 under a random secret. Two keys out of n are the same to it with a
// probability of about n²/2^129, which is 2^-84 for the 5,592,405 keys of the default 128 MiB, and
// nobody who does not know the secret can find such keys; in Kafka, which uses MD5, everybody can.
//
// The slots are sorted by hash, as far as empty ones in between allow: a key is at the place that its hash
// gives, or behind it after smaller hashes only. So a search ends at the first larger hash, found or
// not.
//
// Invariants:
//   - the hashes in the slots increase, empty slots left out
//   - no slot between a hash's place and the hash is empty
//
// An OffsetMap is not safe for concurrent use.
type OffsetMap struct {
	slots  []slot
	homes  uint64 // slots that are places of hashes; those behind only take what does not fit
	max    int    // keys
	len    int
	latest int64
	k0, k1 uint64
	// touched is of no use, but the compiler does not know.
	touched int64
}

// slot is a key with its last offset.
type slot struct {
	hi, lo uint64 // hash of the key
	next   int64  // offset + 1; 0 is an empty slot
}

// spill is how many slots there are beyond the last place. The last keys rarely need more than a few;
// if they do, the map is full.
const spill = 1024

// NewOffsetMap returns a map of so many bytes that is full when loadFactor of it is used
// (log.cleaner.io.buffer.load.factor). Below 1/SlotBytes keys it is always full. It takes memory as far as
// it is used.
func NewOffsetMap(bytes int64, loadFactor float64) *OffsetMap {
	slots := max(bytes/SlotBytes, 0)
	m := &OffsetMap{
		slots: make([]slot, slots+min(slots, spill)),
		homes: uint64(slots),
		max:   int(float64(slots) * loadFactor),
	}
	m.max = min(m.max, int(slots))
	m.Reset()
	return m
}

// Reset empties the map, and takes another secret.
func (m *OffsetMap) Reset() {
	if m.len > 0 {
		clear(m.slots)
	}
	m.len, m.latest = 0, -1
	var key [16]byte
	_, _ = rand.Read(key[:]) // it does not fail
	m.k0, m.k1 = binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
}

// Put notes that key was written at offset, which becomes Latest. It returns false, and does nothing, if
// the map is full, even for a key that is there already.
func (m *OffsetMap) Put(key []byte, offset int64) bool {
	hi, lo := m.hash(key)
	return m.put(hi, lo, offset)
}

func (m *OffsetMap) hash(key []byte) (hi, lo uint64) { return siphash.Hash128(m.k0, m.k1, key) }

func (m *OffsetMap) put(hi, lo uint64, offset int64) bool {
	if m.len >= m.max {
		return false
	}
	at, found := m.search(hi, lo)
	if !found {
		if !m.insert(at) {
			return false
		}
		m.slots[at].hi, m.slots[at].lo = hi, lo
		m.len++
	}
	m.slots[at].next = offset + 1
	m.latest = offset
	return true
}

func (m *OffsetMap) get(hi, lo uint64) (offset int64, ok bool) {
	at, found := m.search(hi, lo)
	if !found {
		return -1, false
	}
	return m.slots[at].next - 1, true
}

// hasLater reports whether the key of a hash was written behind offset.
func (m *OffsetMap) hasLater(hi, lo uint64, offset int64) bool {
	last, ok := m.get(hi, lo)
	return ok && offset < last
}

// touch reads the place of the hash, so that it is in the processor's cache when put or get come for it. The
// map is much larger than the caches, and the processor waits for many places at a time as long as
// nothing depends on them.
func (m *OffsetMap) touch(hi uint64) {
	if home, _ := bits.Mul64(hi, m.homes); home < uint64(len(m.slots)) {
		m.touched |= m.slots[home].next
	}
}

// search returns where the hash is, or where it belongs: an empty slot, one with a larger hash, or the
// end.
func (m *OffsetMap) search(hi, lo uint64) (at int, found bool) {
	home, _ := bits.Mul64(hi, m.homes)
	for i := int(home); i < len(m.slots); i++ {
		s := &m.slots[i]
		switch {
		case s.next == 0 || s.hi > hi:
			return i, false
		case s.hi == hi && s.lo >= lo:
			return i, s.lo == lo
		}
	}
	return len(m.slots), false
}

// insert makes room at slot at by moving what is there, up to the next empty slot. It returns false if there
// is none.
func (m *OffsetMap) insert(at int) bool {
	n := slices.IndexFunc(m.slots[at:], func(s slot) bool { return s.next == 0 })
	if n < 0 {
		return false
	}
	copy(m.slots[at+1:at+n+1], m.slots[at:at+n])
	return true
}

// SetLatest notes that there is nothing to be known up to offset but what has been put.
func (m *OffsetMap) SetLatest(offset int64) { m.latest = offset }

// Latest returns the offset up to which, inclusively, the last offsets of all keys are known; -1 if
// nothing is.
func (m *OffsetMap) Latest() int64 { return m.latest }

// End returns Latest plus 1: from there on the log is dirty after the cleaning.
func (m *OffsetMap) End() int64 { return m.latest + 1 }

// Len returns how many keys there are.
func (m *OffsetMap) Len() int { return m.len }

// Slots returns how many keys the memory could hold at most.
func (m *OffsetMap) Slots() int { return int(min(m.homes, math.MaxInt)) }

// Full reports whether another key would not be taken.
func (m *OffsetMap) Full() bool { return m.len >= m.max }

// Utilization returns the share of the slots that is used, from 0 to 1.
func (m *OffsetMap) Utilization() float64 {
	if m.homes == 0 {
		return 0
	}
	return float64(m.len) / float64(m.homes)
}
