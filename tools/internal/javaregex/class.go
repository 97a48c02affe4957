package javaregex

// class is a character class while it is read.
//
// Java keeps single characters apart from what else was read, and goes on adding to them where they are part of an
// intersection already; && without a right-hand side intersects with what was read last. Both show in what odd classes mean.
type class struct {
	all     set // what was read, without pending singles; nil for nothing
	last    set // what was read last; nil for a single character
	singles set // all of them so far
	pending bool
}

func (c *class) add(s set) {
	c.all, c.last = c.all.or(s), s
}

func (c *class) addSingle(s set) {
	c.singles, c.last, c.pending = c.singles.or(s), nil, true
}

// gather puts the single characters to the others.
func (c *class) gather() {
	if !c.pending {
		return
	}
	singles := set(func(ch rune) bool { return c.singles(ch) })
	if c.all == nil {
		c.last = singles
	}
	c.all, c.pending = c.all.or(singles), false
}

// class reads a class whose bracket is where the cursor is, or the right-hand side of &&, which has none of its own: then
// closing is false, and the bracket at its end is left.
func (p *parser) class(closing bool) set {
	var c class
	negated := false
	ch := p.next()
	for {
		switch {
		case ch == '^' && p.raw(p.at-1) == '[' && !negated:
			negated = true
			ch = p.next()
			continue
		case ch == '[':
			c.add(p.class(true))
			ch = p.peek()
			continue
		case ch == '&' && p.next() == '&':
			p.intersect(&c)
			ch = p.peek()
			continue
		case ch == '&':
			p.at--
		case p.ended(ch):
			p.fail("Unclosed character class")
		case ch == ']' && (c.all != nil || c.pending):
			if closing {
				p.next()
			}
			c.gather()
			if negated {
				return c.all.negated()
			}
			return c.all
		}
		p.member(&c)
		ch = p.peek()
	}
}

// intersect reads what follows &&, the second of which is where the cursor is.
func (p *parser) intersect(c *class) {
	var right set
	for ch := p.next(); ch != ']' && ch != '&'; ch = p.peek() {
		if ch == '[' {
			right = right.or(p.class(true))
		} else {
			p.at--
			right = right.or(p.class(false))
		}
	}
	c.gather()
	if right != nil {
		c.last = right
	}
	switch {
	case c.last == nil: // where something else came before, Java notices as it matches, by a NullPointerException
		p.fail("Bad class syntax")
	case c.all != nil:
		c.all = c.all.and(c.last)
	default:
		c.all = right
	}
}

// member reads a character, a range or an escape.
func (p *parser) member(c *class) {
	low := p.peek()
	if low != '\\' {
		p.next()
	} else if ch := p.raw(p.at + 1); ch == 'p' || ch == 'P' {
		p.at++
		c.add(p.property(ch == 'P'))
		return
	} else {
		ranges := p.raw(p.at+2) == '-'
		if ch = p.take(); ch == 'v' && ranges {
			low = '\v'
		} else if class := p.predefined(ch); class != nil {
			c.add(class)
			return
		} else {
			low = p.character(ch)
		}
	}
	if p.peek() == '-' {
		if end := p.raw(p.at + 1); end != '[' && end != ']' {
			c.add(p.span(low))
			return
		}
	}
	if low < 0x100 {
		c.addSingle(p.single(low))
	} else {
		c.add(p.single(low))
	}
}

// span reads the end of a range; the cursor is at the hyphen.
func (p *parser) span(low rune) set {
	high := p.next()
	switch {
	case high != '\\':
		p.next()
	case p.predefined(p.raw(p.at+1)) != nil && p.raw(p.at+1) != 'v':
		p.take()
		high = -1 // below everything
	default:
		if ch := p.take(); ch == 'v' {
			high = '\v'
		} else {
			high = p.character(ch)
		}
	}
	if high < low {
		p.fail("Illegal character range")
	}
	return p.between(low, high)
}
