package javaregex

// alternatives reads up to the end of the expression or of a group.
func (p *parser) alternatives() node {
	first := p.sequence()
	if p.peek() != '|' {
		return first
	}
	all := choice{first}
	for p.peek() == '|' {
		p.next()
		all = append(all, p.sequence())
	}
	return all
}

// sequence reads up to the end of an alternative.
func (p *parser) sequence() node {
	var all sequence
	for {
		ch := p.peek()
		switch ch {
		case '|', ')':
			return all
		case '*', '+', '?':
			p.next()
			p.fail("Dangling meta character '" + string(ch) + "'")
		case '(':
			if group := p.group(); group != nil {
				all = append(all, group)
			}
			continue
		}
		if p.ended(ch) {
			return all
		}
		all = append(all, p.repeated(p.atom(ch)))
	}
}

// atom reads what a quantifier may follow; ch is where the cursor is.
func (p *parser) atom(ch rune) node {
	switch ch {
	case '[':
		return one{p.class(true)}
	case '\\':
		return p.escapedAtom()
	case '^':
		p.next()
		return p.lineBegin()
	case '$':
		p.next()
		return p.lineEnd(p.has(multiline))
	case '.':
		p.next()
		return one{p.dot()}
	case '{':
		return sequence{} // a second quantifier, or one at the beginning, repeats nothing
	}
	p.next()
	return one{p.single(ch)}
}

func (p *parser) lineBegin() node {
	switch {
	case p.has(multiline) && p.has(unixLines):
		return assertion(func(text []rune, at int) bool { return at != len(text) && (at == 0 || text[at-1] == '\n') })
	case p.has(multiline):
		return assertion(func(text []rune, at int) bool {
			return at != len(text) && (at == 0 || isLineEnd(text[at-1]) && !insideCRLF(text, at))
		})
	}
	return assertion(atBegin)
}

// lineEnd is $ and \Z: the end, the last line terminator if the end is behind it or, with multiple lines, any.
func (p *parser) lineEnd(multiple bool) node {
	unix := p.has(unixLines)
	return assertion(func(text []rune, at int) bool {
		rest := text[at:]
		switch {
		case len(rest) == 0:
			return true
		case unix:
			return rest[0] == '\n' && (multiple || len(rest) == 1)
		}
		end := 1
		if len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n' {
			end = 2
		}
		return isLineEnd(rest[0]) && !insideCRLF(text, at) && (multiple || len(rest) == end)
	})
}

func (p *parser) dot() set {
	switch {
	case p.has(dotAll):
		return func(rune) bool { return true }
	case p.has(unixLines):
		return func(ch rune) bool { return ch != '\n' }
	}
	return func(ch rune) bool { return !isLineEnd(ch) }
}

func atBegin(_ []rune, at int) bool { return at == 0 }

func atEnd(text []rune, at int) bool { return at == len(text) }

func insideCRLF(text []rune, at int) bool {
	return at > 0 && at < len(text) && text[at-1] == '\r' && text[at] == '\n'
}
