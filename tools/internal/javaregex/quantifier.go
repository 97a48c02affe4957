package javaregex

import "math"

// many is the highest number of repetitions, and stands for any.
const many = math.MaxInt32

// repeated reads the quantifier behind body, if there is one.
func (p *parser) repeated(body node) node {
	least, most := int32(0), int32(many)
	switch p.peek() {
	case '?':
		most = 1
		p.next()
	case '*':
		p.next()
	case '+':
		least = 1
		p.next()
	case '{':
		least, most = p.counts()
	default:
		return body
	}
	if lineBreak, ok := body.(choice); ok {
		body = atomic{lineBreak} // \R; other alternatives stand in groups
	}
	l := loop{body: body, least: least, most: most}
	switch p.peek() {
	case '?':
		l.manner = lazy
		p.next()
	case '+':
		l.manner = possessive
		p.next()
	}
	return l.simplified()
}

// counts reads {n}, {n,} or {n,m}.
func (p *parser) counts() (least, most int32) {
	ch := p.take()
	if !isDigit(ch) {
		p.fail("Illegal repetition")
	}
	least, ch = p.count(ch)
	most = least
	if ch == ',' {
		most = many
		if ch = p.read(); isDigit(ch) {
			most, ch = p.count(ch)
		}
	}
	if ch != '}' {
		p.fail("Unclosed counted closure")
	}
	if most < least {
		p.fail("Illegal repetition range")
	}
	return least, most
}

// count reads a number that begins with ch, and returns what follows as well.
func (p *parser) count(ch rune) (n int32, after rune) {
	for ; isDigit(ch); ch = p.read() {
		if int64(n)*10+int64(ch-'0') > many {
			p.fail("Illegal repetition range")
		}
		n = n*10 + int32(ch-'0')
	}
	return n, ch
}
