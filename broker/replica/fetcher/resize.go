package fetcher

import (
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Resize changes the number of loops per leader (num.replica.fetchers). A partition that belongs to another loop
// then is handed over by the one that copies it, between two fetches: never do two loops copy it at a time.
func (p *Pool) Resize(fetchers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fetchers = max(1, fetchers)
	if p.mu.ctx == nil || fetchers == p.mu.fetchers {
		return
	}
	p.mu.fetchers = fetchers
	notes := map[*loop][]note{}
	for name, l := range p.mu.of {
		if p.sourceOfLocked(l.source.leader, name) != l.source {
			notes[l] = append(notes[l], note{name: name, move: true})
		}
	}
	for l, n := range notes {
		l.leave(n)
	}
}

// moved takes over what from has ceased to copy, unless something else has been decided meanwhile.
func (p *Pool) moved(name topic.Partition, from *loop, f replica.Following) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.ctx == nil || p.mu.of[name] != from {
		return
	}
	to := p.loopLocked(p.sourceOfLocked(f.Leader, name))
	p.mu.of[name] = to
	to.leave([]note{{name: name, follow: &f}})
}
