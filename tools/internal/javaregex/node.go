package javaregex

import "fmt"

// node is a part of an expression.
type node interface {
	// match tries the ways in which the node matches at a place of the text, until then likes where one of them ends.
	// Groups that were captured on a way that failed are as before, except, as in Java, those of a part that is tried
	// once only.
	match(m *matcher, at int, then func(at int) bool) bool

	// study adds how long what the node matches can be.
	study(w *width)
}

type (
	sequence  []node
	choice    []node
	one       struct{ of set }
	assertion func(text []rune, at int) bool
	group     struct {
		body  node
		index int // 0: does not capture
	}
	atomic struct{ body node }
	ahead  struct {
		body     node
		negative bool
	}
	behind struct {
		body        node
		negative    bool
		least, most int32 // length of body
	}
	backReference struct {
		group int
		flags flags
	}
)

// span is where a group was captured.
type span struct{ begin, end int }

var noSpan = span{-1, -1}

// matcher is one attempt to match a text.
type matcher struct {
	text     []rune
	groups   []span
	remember bool // what a loop has tried it need not try again: nothing depends on what groups captured
	steps    int  // that are left
	depth    int  // of the calls that are under way, as enter counts them
}

// depthMax bounds the depth of calls, which grows with the text where a group repeats. A call takes some 300 bytes: Go ends
// a program whose stack reaches a gigabyte, and Java throws a StackOverflowError long before this.
const depthMax = 250_000

// tooManySteps ends an attempt, by a panic.
type tooManySteps struct{}

// enter begins a call that may lead to itself, and leave ends it.
func (m *matcher) enter() {
	if m.depth++; m.depth > depthMax {
		panic(tooManySteps{})
	}
}

func (m *matcher) leave() { m.depth-- }

func (m *matcher) step() {
	if m.steps--; m.steps < 0 {
		panic(tooManySteps{})
	}
}

// reset forgets what groups captured.
func (m *matcher) reset() {
	for i := range m.groups {
		m.groups[i] = noSpan
	}
}

// gaveUp returns the error of an attempt that ended by a panic; err if it did not.
func (m *matcher) gaveUp(failure any, p *Pattern, text string, err error) error {
	switch failure.(type) {
	case nil:
		return err
	case tooManySteps:
		return fmt.Errorf("%s takes too long to match with %s", p.text, text)
	}
	panic(failure)
}

// once returns where the first way ends in which n matches.
func (m *matcher) once(n node, at int) (end int, matches bool) {
	matches = n.match(m, at, func(at int) bool { end = at; return true })
	return end, matches
}

func (s sequence) match(m *matcher, at int, then func(int) bool) (matches bool) {
	if len(s) == 0 {
		return then(at)
	}
	m.enter()
	first, single := s[0].(one)
	switch {
	case len(s) == 1:
		matches = s[0].match(m, at, then)
	case single:
		matches = first.matches(m, at) && s[1:].match(m, at+1, then)
	default:
		matches = s[0].match(m, at, func(at int) bool { return s[1:].match(m, at, then) })
	}
	m.leave()
	return matches
}

func (c choice) match(m *matcher, at int, then func(int) bool) bool {
	for _, alternative := range c {
		if alternative.match(m, at, then) {
			return true
		}
	}
	return false
}

func (o one) matches(m *matcher, at int) bool {
	m.step()
	return at < len(m.text) && o.of(m.text[at])
}

func (o one) match(m *matcher, at int, then func(int) bool) bool {
	return o.matches(m, at) && then(at+1)
}

func (a assertion) match(m *matcher, at int, then func(int) bool) bool {
	m.step()
	return a(m.text, at) && then(at)
}

func (g group) match(m *matcher, at int, then func(int) bool) bool {
	m.step()
	if g.index == 0 {
		return g.body.match(m, at, then)
	}
	return g.body.match(m, at, func(end int) bool {
		before := m.groups[g.index]
		m.groups[g.index] = span{at, end}
		if then(end) {
			return true
		}
		m.groups[g.index] = before
		return false
	})
}

func (a atomic) match(m *matcher, at int, then func(int) bool) bool {
	end, matches := m.once(a.body, at)
	return matches && then(end)
}

func (a ahead) match(m *matcher, at int, then func(int) bool) bool {
	_, matches := m.once(a.body, at)
	return matches != a.negative && then(at)
}

func (b behind) match(m *matcher, at int, then func(int) bool) bool {
	first := max(int32(at)-b.most, 0) // b.most may have overflowed, as in Java
	matches := false
	for begin := int32(at) - b.least; !matches && begin >= first; begin-- {
		m.step()
		matches = b.body.match(m, int(begin), func(end int) bool { return end == at })
	}
	return matches != b.negative && then(at)
}

func (b backReference) match(m *matcher, at int, then func(int) bool) bool {
	m.step()
	if b.group >= len(m.groups) || m.groups[b.group] == noSpan {
		return false
	}
	captured := m.text[m.groups[b.group].begin:m.groups[b.group].end]
	if len(captured) > len(m.text)-at {
		return false
	}
	p := parser{flags: b.flags}
	for i, ch := range captured {
		if !p.single(ch)(m.text[at+i]) {
			return false
		}
	}
	return then(at + len(captured))
}
