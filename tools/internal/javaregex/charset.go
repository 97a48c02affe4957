package javaregex

import "unicode"

// set is a set of characters. The nil set is empty.
type set func(ch rune) bool

func (s set) or(t set) set {
	if s == nil {
		return t
	}
	return func(ch rune) bool { return s(ch) || t(ch) }
}

func (s set) and(t set) set { return func(ch rune) bool { return s(ch) && t(ch) } }

func (s set) negated() set { return func(ch rune) bool { return !s(ch) } }

func is(ch rune) set { return func(other rune) bool { return ch == other } }

// single is the set of one character, and of its other case where case does not matter.
func (p *parser) single(ch rune) set {
	switch {
	case p.has(foldASCII) && p.has(foldUnicode):
		folded := fold(ch)
		return func(other rune) bool { return other == ch || fold(other) == folded }
	case p.has(foldASCII):
		folded := foldedASCII(ch)
		return func(other rune) bool { return foldedASCII(other) == folded }
	}
	return is(ch)
}

// between is a range, in which a character is if one of its cases is.
func (p *parser) between(low, high rune) set {
	inside := func(ch rune) bool { return low <= ch && ch <= high }
	switch {
	case p.has(foldASCII) && p.has(foldUnicode):
		return func(ch rune) bool { return inside(ch) || inside(unicode.ToUpper(ch)) || inside(fold(ch)) }
	case p.has(foldASCII):
		return func(ch rune) bool {
			return inside(ch) || isLetter(ch) && (inside(ch&^0x20) || inside(ch|0x20))
		}
	}
	return inside
}

func fold(ch rune) rune { return unicode.ToLower(unicode.ToUpper(ch)) }

func foldedASCII(ch rune) rune {
	if 'A' <= ch && ch <= 'Z' {
		return ch | 0x20
	}
	return ch
}

func isLetter(ch rune) bool { return 'a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z' }

func isDigit(ch rune) bool { return '0' <= ch && ch <= '9' }

func isWord(ch rune) bool { return isLetter(ch) || isDigit(ch) || ch == '_' }

func isSpace(ch rune) bool { return ch == ' ' || '\t' <= ch && ch <= '\r' }

func isHex(ch rune) bool {
	return isDigit(ch) || 'a' <= ch && ch <= 'f' || 'A' <= ch && ch <= 'F'
}

func hexValue(ch rune) rune {
	if isDigit(ch) {
		return ch - '0'
	}
	return ch&^0x20 - 'A' + 10
}

func isLineEnd(ch rune) bool {
	return ch == '\n' || ch == '\r' || ch == 0x85 || ch == 0x2028 || ch == 0x2029
}

func verticalSpace(ch rune) bool {
	return '\n' <= ch && ch <= '\r' || ch == 0x85 || ch == 0x2028 || ch == 0x2029
}

func horizontalSpace(ch rune) bool {
	return ch == '\t' || ch == 0x180e || unicode.Is(unicode.Zs, ch)
}

func isUnicodeSpace(ch rune) bool { return unicode.Is(unicode.White_Space, ch) }

func isUnicodeWord(ch rune) bool {
	return isAlphabetic(ch) || unicode.In(ch, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}

func isAlphabetic(ch rune) bool {
	return unicode.In(ch, unicode.L, unicode.Nl, unicode.Other_Alphabetic)
}
