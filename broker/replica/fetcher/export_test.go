package fetcher

// Loops returns how many loops there are.
func (p *Pool) Loops() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.loops)
}
