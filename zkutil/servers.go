package zkutil

import (
	"sync"
	"time"
)

// After how many rounds of all servers tried in vain go-zookeeper's pause of a second begins, and the first of
// the pauses, doubling, before that: 50, 100, 200, 400 ms.
const (
	quickRounds = 5
	firstPause  = 50 * time.Millisecond
)

// servers hands out the addresses of an ensemble in turn. Unlike go-zookeeper's own provider it leaves
// resolving the names to each dial, so that a server may come back under another address, and has the
// first attempts after a lost connection follow quickly, for a server that restarts.
type servers struct {
	mu struct {
		sync.Mutex
		addresses []string
		next      int
		tried     int // since the last success
	}
}

// Init implements zk.HostProvider.
func (s *servers) Init(addresses []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.addresses = addresses
	return nil
}

// Len implements zk.HostProvider.
func (s *servers) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.addresses)
}

// Next implements zk.HostProvider: rest asks for a pause of a second, in which go-zookeeper also fails what it
// has not sent yet.
func (s *servers) Next() (address string, rest bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address = s.mu.addresses[s.mu.next]
	s.mu.next = (s.mu.next + 1) % len(s.mu.addresses)
	rest = s.mu.tried%len(s.mu.addresses) == 0 && s.mu.tried/len(s.mu.addresses) >= quickRounds
	s.mu.tried++
	return address, rest
}

// Connected implements zk.HostProvider.
func (s *servers) Connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.tried = 0
}

// pause returns how long to wait before the address that Next has returned is dialled.
func (s *servers) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	index := s.mu.tried - 1 // of this attempt
	if round := index / len(s.mu.addresses); round > 0 && round < quickRounds && index%len(s.mu.addresses) == 0 {
		return firstPause << (round - 1)
	}
	return 0
}
