package segment

import "sync"

// hint says that the first batch with a last offset at or beyond offset begins at position. It stays
// true while the segment grows, and ends with a truncation.
type hint struct {
	offset, position int64
}

// recentMax is how many appends are remembered.
const recentMax = 64

// recent remembers where the last appends begin, under the offset that was the segment's end then:
// what a consumer or follower that keeps up asks for. Segment.mu guards it.
type recent struct {
	ring []hint
	next int // where the next hint goes once ring is full
}

func (r *recent) add(h hint) {
	if len(r.ring) < recentMax {
		r.ring = append(r.ring, h)
		return
	}
	r.ring[r.next] = h
	r.next = (r.next + 1) % recentMax
}

// floor returns the last hint at or below offset; false if all are above it or there are none.
func (r *recent) floor(offset int64) (hint, bool) {
	n := len(r.ring)
	if n == 0 || r.ring[r.next%n].offset > offset {
		return hint{}, false // the oldest is above it
	}
	for i := 1; i <= n; i++ { // newest first
		if h := r.ring[(r.next-i+n)%n]; h.offset <= offset {
			return h, true
		}
	}
	return hint{}, false
}

func (r *recent) reset() { *r = recent{} }

// hintsMax is how many readers' positions are remembered.
const hintsMax = 16

// hints remembers the positions where reads ended or were looked up, so that readers who lag behind
// the recent appends, and high watermarks that do, are found again.
type hints struct {
	mu   sync.Mutex
	gen  uint64 // generation of the segment for which ring is true
	ring *[hintsMax]hint
	n    int // hints in ring
	next int
}

// get returns the position remembered for exactly offset.
func (h *hints) get(gen uint64, offset int64) (int64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gen != gen {
		return 0, false
	}
	for i := range h.n {
		if h.ring[i].offset == offset {
			return h.ring[i].position, true
		}
	}
	return 0, false
}

// put remembers a position found while the segment was of generation gen.
func (h *hints) put(gen uint64, offset, position int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gen < h.gen {
		return // truncated meanwhile
	}
	if h.ring == nil {
		h.ring = new([hintsMax]hint)
	}
	if gen > h.gen {
		h.gen, h.n, h.next = gen, 0, 0
	}
	for i := range h.n {
		if h.ring[i].offset == offset {
			return
		}
	}
	h.ring[h.next] = hint{offset, position}
	h.next = (h.next + 1) % hintsMax
	h.n = min(h.n+1, hintsMax)
}
