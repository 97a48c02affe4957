package javaregex

import "unicode"

// escapedAtom reads what a backslash begins, outside of a class.
func (p *parser) escapedAtom() node {
	if ch := p.raw(p.at + 1); ch == 'p' || ch == 'P' {
		p.at++
		return one{p.property(ch == 'P')}
	}
	ch := p.take()
	switch ch {
	case 'A', 'G': // where a whole text is matched, nothing was matched before
		p.continues = p.continues || ch == 'G'
		return assertion(atBegin)
	case 'Z':
		return p.lineEnd(false)
	case 'z':
		return assertion(atEnd)
	case 'b', 'B':
		if ch == 'b' && p.peek() == '{' {
			p.fail("Grapheme cluster boundaries are not supported")
		}
		return p.wordBoundary(ch == 'b')
	case 'R':
		return choice{sequence{one{is('\r')}, one{is('\n')}}, one{verticalSpace}}
	case 'X':
		p.fail("Grapheme clusters are not supported")
	case 'k':
		return p.namedReference()
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.reference(int(ch - '0'))
	}
	if class := p.predefined(ch); class != nil {
		return one{class}
	}
	return one{p.single(p.character(ch))}
}

// wordBoundary is \b, or \B.
func (p *parser) wordBoundary(here bool) node {
	word := func(ch rune) bool { return ch == '_' || unicode.IsLetter(ch) || unicode.IsDigit(ch) }
	if p.has(unicodeClasses) {
		word = isUnicodeWord
	}
	return assertion(func(text []rune, at int) bool {
		before, after := at > 0 && word(text[at-1]), at < len(text) && word(text[at])
		return (before != after) == here
	})
}

// reference reads the further digits of a back reference, as long as there is such a group.
func (p *parser) reference(group int) node {
	p.refers = true
	for {
		ch := p.peek()
		if !isDigit(ch) || group*10+int(ch-'0') > p.groups {
			return backReference{group, p.flags}
		}
		group = group*10 + int(ch-'0')
		p.read()
	}
}

func (p *parser) namedReference() node {
	if p.read() != '<' {
		p.fail(`\k is not followed by '<' for named capturing group`)
	}
	name := p.name(p.read())
	group, there := p.names[name]
	if !there {
		p.fail("named capturing group <" + name + "> does not exist")
	}
	p.refers = true
	return backReference{group, p.flags}
}

// predefined returns the class that an escaped letter stands for; nil if it stands for none.
func (p *parser) predefined(ch rune) set {
	digit, space, word := set(isDigit), set(isSpace), set(isWord)
	if p.has(unicodeClasses) {
		digit, space, word = unicode.IsDigit, isUnicodeSpace, isUnicodeWord
	}
	switch ch {
	case 'd':
		return digit
	case 'D':
		return digit.negated()
	case 's':
		return space
	case 'S':
		return space.negated()
	case 'w':
		return word
	case 'W':
		return word.negated()
	case 'h':
		return horizontalSpace
	case 'H':
		return set(horizontalSpace).negated()
	case 'v':
		return verticalSpace
	case 'V':
		return set(verticalSpace).negated()
	}
	return nil
}

var controls = map[rune]rune{'a': '\a', 'e': 0x1b, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// character returns the character that an escaped one stands for.
func (p *parser) character(ch rune) rune {
	switch ch {
	case '0':
		return p.octal()
	case 'x':
		return p.hexadecimal()
	case 'u':
		return p.utf16()
	case 'c':
		if p.at >= len(p.text) {
			p.fail("Illegal control escape sequence")
		}
		return p.read() ^ 64
	case 'N':
		if p.read() != '{' {
			p.fail("Illegal character name escape sequence")
		}
		p.fail("Characters by name are not supported")
	}
	if control, ok := controls[ch]; ok {
		return control
	}
	if isLetter(ch) || isDigit(ch) {
		p.fail("Illegal/unsupported escape sequence")
	}
	return ch
}

// octal reads up to three digits, the value of which is below 256.
func (p *parser) octal() rune {
	value := p.read() - '0'
	if value < 0 || value > 7 {
		p.fail("Illegal octal escape sequence")
	}
	for range 2 {
		digit := p.read() - '0'
		if digit < 0 || digit > 7 || value*8+digit > 0o377 {
			p.at--
			break
		}
		value = value*8 + digit
	}
	return value
}

func (p *parser) hexadecimal() rune {
	first := p.read()
	if first != '{' {
		if isHex(first) {
			if second := p.read(); isHex(second) {
				return hexValue(first)<<4 + hexValue(second)
			}
		}
		p.fail("Illegal hexadecimal escape sequence")
	}
	if !isHex(p.peek()) {
		p.fail("Illegal hexadecimal escape sequence")
	}
	var value rune
	ch := p.read()
	for ; isHex(ch); ch = p.read() {
		if value = value<<4 + hexValue(ch); value > unicode.MaxRune {
			p.fail("Hexadecimal codepoint is too big")
		}
	}
	if ch != '}' {
		p.fail("Unclosed hexadecimal escape sequence")
	}
	return value
}

// utf16 reads the four digits of a character, and two such escapes for one outside of the first plane.
func (p *parser) utf16() rune {
	high := p.fourDigits()
	if high&^0x3ff != 0xd800 || p.raw(p.at) != '\\' || p.raw(p.at+1) != 'u' {
		return high
	}
	before := p.at
	p.at += 2
	if low := p.fourDigits(); low&^0x3ff == 0xdc00 {
		return 0x10000 + (high&0x3ff)<<10 + low&0x3ff
	}
	p.at = before
	return high
}

func (p *parser) fourDigits() (value rune) {
	for range 4 {
		ch := p.read()
		if !isHex(ch) {
			p.fail("Illegal Unicode escape sequence")
		}
		value = value<<4 + hexValue(ch)
	}
	return value
}
