package zkutil

import "sync"

// servers hands out the addresses of an ensemble in turn. Unlike go-zookeeper's own provider it leaves
// resolving the names to each dial, so that a server may come back under another address, and lets
// the first attempt after a lost connection go out at once.
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

// Next implements zk.HostProvider: rest asks for a pause of a second, which is due when every server
// has been tried in vain.
func (s *servers) Next() (address string, rest bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address = s.mu.addresses[s.mu.next]
	s.mu.next = (s.mu.next + 1) % len(s.mu.addresses)
	rest = s.mu.tried > 0 && s.mu.tried%len(s.mu.addresses) == 0
	s.mu.tried++
	return address, rest
}

// Connected implements zk.HostProvider.
func (s *servers) Connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.tried = 0
}
