package javaregex

// flags are what (?i) and the like switch on.
type flags uint8

const (
	foldASCII      flags = 1 << iota // (?i)
	multiline                        // (?m)
	dotAll                           // (?s)
	unixLines                        // (?d)
	foldUnicode                      // (?u)
	comments                         // (?x)
	unicodeClasses                   // (?U)
)

// parser reads an expression. Errors stop it by a panic, which Compile catches.
//
// Errors are said to be where the cursor is, so it moves as Java's does: read and take leave it behind what they
// return, peek and next at it. Behind the end stand zeros.
type parser struct {
	pattern string // as it was given
	text    []rune // without \Q and \E
	at      int
	flags   flags
	groups  int // capturing groups that were opened
	names   map[string]int
	refers  bool // there are back references

	continues bool // there is \G
}

func (p *parser) has(f flags) bool { return p.flags&f != 0 }

// raw returns the character at an index, 0 behind the end.
func (p *parser) raw(i int) rune {
	if i < len(p.text) {
		return p.text[i]
	}
	return 0
}

// ended reports whether ch, which is where the cursor is, stands for the end.
func (p *parser) ended(ch rune) bool { return ch == 0 && p.at >= len(p.text) }

// peek returns the next character that means something.
func (p *parser) peek() rune {
	for p.has(comments) && p.at < len(p.text) {
		if ch := p.text[p.at]; ch == '#' {
			p.skipLine()
		} else if isSpace(ch) {
			p.at++
		} else {
			break
		}
	}
	return p.raw(p.at)
}

// skipLine goes to the end of a comment.
func (p *parser) skipLine() {
	for p.at < len(p.text) && !p.endsLine(p.text[p.at]) {
		p.at++
	}
}

// endsLine reports whether ch is a line terminator.
func (p *parser) endsLine(ch rune) bool {
	if p.has(unixLines) {
		return ch == '\n'
	}
	return isLineEnd(ch)
}

// next goes one further and peeks.
func (p *parser) next() rune {
	p.at++
	return p.peek()
}

// read returns the next character that means something, and goes behind it.
func (p *parser) read() rune {
	ch := p.peek()
	p.at++
	return ch
}

// take returns the character behind the next one, whatever it is, and goes behind it.
func (p *parser) take() rune {
	p.at += 2
	return p.raw(p.at - 1)
}

// accept reads a character that has to come.
func (p *parser) accept(ch rune, otherwise string) {
	if p.read() != ch {
		p.fail(otherwise)
	}
}

// unquote replaces what stands between \Q and \E by escapes.
func unquote(text []rune) []rune {
	var plain []rune
	quoted := false
	for i := 0; i < len(text); i++ {
		ch, after := text[i], rune(0)
		if ch == '\\' && i+1 < len(text) {
			after = text[i+1]
		}
		switch {
		case quoted && after == 'E', !quoted && after == 'Q':
			quoted = !quoted
			i++
		case quoted:
			plain = append(plain, escaped(ch, i >= 2 && text[i-1] == 'Q' && text[i-2] == '\\')...)
		case after != 0:
			plain = append(plain, ch, after)
			i++
		default:
			plain = append(plain, ch)
		}
	}
	return plain
}

// escaped returns how a character is written that means nothing but itself. One that begins a quotation may stand behind
// a back reference or the like, which it must not continue.
func escaped(ch rune, first bool) []rune {
	switch {
	case ch >= 0x80, isLetter(ch):
		return []rune{ch}
	case !isDigit(ch):
		return []rune{'\\', ch}
	case first:
		return []rune{'\\', 'x', '3', ch}
	}
	return []rune{ch}
}
