package network

import (
	"cmp"
	"slices"
	"time"
)

// tendEvery is the most that passes between two looks at the connections.
const tendEvery = time.Second

// tend is the goroutine that closes connections by time and number: idle ones, those beyond
// max.connections, parked ones.
func (s *Server) tend() {
	every := tendEvery
	if s.opts.MaxIdle > 0 {
		every = min(every, max(s.opts.MaxIdle/10, 10*time.Millisecond))
	}
	for sleep(every, s.stopping) {
		now := time.Now()
		s.closeIdle(now)
		s.closeExcess()
		s.closeParked(now)
		s.admission.forgetRates(now)
	}
	s.closeParked(time.Now().Add(time.Hour))
}

// closeIdle closes connections on which no byte has moved for connections.max.idle.ms.
func (s *Server) closeIdle(now time.Time) {
	if s.opts.MaxIdle < 0 {
		return
	}
	oldest := now.Add(-s.opts.MaxIdle).UnixNano()
	for _, c := range s.opened() {
		if c.last.Load() < oldest {
			c.fail(errIdle)
		}
	}
}

// closeExcess closes the least recently used connections beyond max.connections, but for those of the
// protected listener.
func (s *Server) closeExcess() {
	n := s.admission.excess()
	if n == 0 {
		return
	}
	conns := slices.DeleteFunc(s.opened(), func(c *conn) bool { return s.admission.isProtected(c.lst.Name) })
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.last.Load(), b.last.Load()) })
	for _, c := range conns[:min(n, len(conns))] {
		c.fail(errEvicted)
	}
}

func (s *Server) closeParked(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.parked = slices.DeleteFunc(s.mu.parked, func(p parked) bool {
		if p.until.After(now) {
			return false
		}
		p.tcp.Close()
		return true
	})
}
