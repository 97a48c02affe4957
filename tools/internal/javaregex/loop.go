package javaregex

// loop repeats a node.
type loop struct {
	body        node
	least, most int32
	manner      manner
}

// manner says how many repetitions are tried first.
type manner uint8

const (
	greedy manner = iota
	lazy
	possessive // as many as there are, and no fewer
)

// simplified returns what matches in the same way, in fewer steps.
func (l loop) simplified() node {
	if of, ok := l.body.(one); ok && l.manner != lazy {
		return run{of, l.least, l.most, l.manner}
	}
	return l
}

func (l loop) match(m *matcher, at int, then func(int) bool) bool {
	if l.manner == possessive {
		return l.exhaust(m, at, then)
	}
	r := repetition{loop: l, m: m, then: then}
	return r.from(at, 0)
}

// repetition is a loop at work.
type repetition struct {
	loop
	m     *matcher
	then  func(int) bool
	tried []bool // by place: going on from there, with enough repetitions behind, has failed or is under way
}

// from goes on after count repetitions. One that matches nothing is the last.
func (r *repetition) from(at int, count int32) (matches bool) {
	r.m.step()
	r.m.enter()
	switch {
	case count < r.least:
		matches = r.again(at, count)
	case r.wasTried(at):
	case r.manner == lazy:
		matches = r.then(at) || r.again(at, count)
	default:
		matches = r.again(at, count) || r.then(at)
	}
	r.m.leave()
	return matches
}

// wasTried reports whether there is nothing new in going on from at, with enough repetitions behind, and notes that it
// is tried now.
func (r *repetition) wasTried(at int) bool {
	if !r.m.remember || r.most != many {
		return false
	}
	if r.tried == nil {
		r.tried = make([]bool, len(r.m.text)+1)
	}
	before := r.tried[at]
	r.tried[at] = true
	return before
}

func (r *repetition) again(at int, count int32) bool {
	return count < r.most && r.body.match(r.m, at, func(end int) bool {
		if end == at {
			return r.then(at)
		}
		return r.from(end, count+1)
	})
}

// exhaust repeats the body as often as it can, without trying others of its ways.
func (l loop) exhaust(m *matcher, at int, then func(int) bool) bool {
	for count := int32(0); count < l.most; count++ {
		m.step()
		end, matches := m.once(l.body, at)
		if !matches && count < l.least {
			return false
		}
		if !matches || end == at {
			break
		}
		at = end
	}
	return then(at)
}

// run repeats a single character.
type run struct {
	of          one
	least, most int32
	manner      manner
}

func (r run) match(m *matcher, at int, then func(int) bool) bool {
	end := at
	for end-at < int(r.most) && r.of.matches(m, end) {
		end++
	}
	if r.manner == possessive {
		return end-at >= int(r.least) && then(end)
	}
	for ; end-at >= int(r.least); end-- {
		m.step()
		if then(end) {
			return true
		}
	}
	return false
}
