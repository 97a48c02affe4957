package javaregex

import (
	"strings"
	"unicode"
)

// property reads the name of a property, behind the p that the cursor is at.
func (p *parser) property(negated bool) set {
	s := p.named(p.propertyName())
	if negated {
		return s.negated()
	}
	return s
}

// propertyName reads a letter, or what stands in braces.
func (p *parser) propertyName() string {
	if p.next() != '{' {
		name := string(p.raw(p.at))
		p.read()
		return name
	}
	p.next()
	begin := p.at
	for ch := p.read(); ch != '}'; ch = p.read() {
		if p.at > len(p.text) {
			p.fail("Unclosed character family")
		}
	}
	if p.at-1 == begin {
		p.fail("Empty character family")
	}
	return string(p.text[begin : p.at-1])
}

// named returns the characters that have a property.
func (p *parser) named(name string) set {
	var s set
	if key, value, ok := strings.Cut(name, "="); ok {
		key = strings.ToLower(key)
		switch key {
		case "sc", "script":
			s = script(value)
		case "gc", "general_category":
			s = p.category(value)
		}
		if s == nil {
			p.fail("Unknown Unicode property {name=<" + key + ">, value=<" + value + ">}")
		}
		return s
	}
	if of, ok := strings.CutPrefix(name, "Is"); ok {
		if s = p.binary(of); s == nil {
			s = p.category(of)
		}
		if s == nil {
			s = script(of)
		}
	} else if s = p.posix(name); s == nil {
		s = p.category(name)
	}
	if s == nil {
		p.fail("Unknown character property name {" + name + "}")
	}
	return s
}

// cased are letters with cases: without regard to case, those that have one are all alike.
func (p *parser) cased(s set) set {
	if p.has(foldASCII) {
		return func(ch rune) bool { return unicode.IsLower(ch) || unicode.IsUpper(ch) || unicode.IsTitle(ch) || s(ch) }
	}
	return s
}

// posix are the classes of POSIX, which are ASCII only unless flags say otherwise, and those named after Java's methods.
func (p *parser) posix(name string) set {
	if p.has(unicodeClasses) {
		if s := p.unicodePosix(name); s != nil {
			return s
		}
	}
	graph := func(ch rune) bool { return '!' <= ch && ch <= '~' }
	switch name {
	case "ASCII":
		return func(ch rune) bool { return ch < 0x80 }
	case "Lower":
		return p.cased(func(ch rune) bool { return 'a' <= ch && ch <= 'z' }).and(func(ch rune) bool { return ch < 0x80 })
	case "Upper":
		return p.cased(func(ch rune) bool { return 'A' <= ch && ch <= 'Z' }).and(func(ch rune) bool { return ch < 0x80 })
	case "Alpha":
		return isLetter
	case "Digit":
		return isDigit
	case "Alnum":
		return func(ch rune) bool { return isLetter(ch) || isDigit(ch) }
	case "Punct":
		return func(ch rune) bool { return graph(ch) && !isLetter(ch) && !isDigit(ch) }
	case "Graph":
		return graph
	case "Print":
		return func(ch rune) bool { return graph(ch) || ch == ' ' }
	case "Blank":
		return func(ch rune) bool { return ch == ' ' || ch == '\t' }
	case "Cntrl":
		return func(ch rune) bool { return ch < 0x20 || ch == 0x7f }
	case "XDigit":
		return isHex
	case "Space":
		return isSpace
	}
	return p.javaMethod(name)
}

func (p *parser) unicodePosix(name string) set {
	switch name {
	case "Alpha", "Lower", "Upper", "Punct", "Alnum", "Digit", "Blank", "Graph", "Print":
		return p.binary(name)
	case "Cntrl":
		return unicode.IsControl
	case "Space":
		return isUnicodeSpace
	case "XDigit":
		return func(ch rune) bool { return unicode.In(ch, unicode.Nd, unicode.Hex_Digit) }
	}
	return nil
}

// javaMethod are the methods of Java's Character.
func (p *parser) javaMethod(name string) set {
	switch name {
	case "javaLowerCase":
		return p.binary("LOWERCASE")
	case "javaUpperCase":
		return p.binary("UPPERCASE")
	case "javaTitleCase":
		return p.cased(unicode.IsTitle)
	case "javaAlphabetic":
		return isAlphabetic
	case "javaIdeographic":
		return func(ch rune) bool { return unicode.Is(unicode.Ideographic, ch) }
	case "javaDigit":
		return unicode.IsDigit
	case "javaLetter":
		return unicode.IsLetter
	case "javaLetterOrDigit":
		return func(ch rune) bool { return unicode.IsLetter(ch) || unicode.IsDigit(ch) }
	case "javaSpaceChar":
		return func(ch rune) bool { return unicode.Is(unicode.Z, ch) }
	case "javaWhitespace":
		return func(ch rune) bool {
			return '\t' <= ch && ch <= '\r' || 0x1c <= ch && ch <= 0x1f ||
				unicode.Is(unicode.Z, ch) && ch != 0xa0 && ch != 0x2007 && ch != 0x202f
		}
	case "javaISOControl":
		return func(ch rune) bool { return ch < 0x20 || 0x7f <= ch && ch < 0xa0 }
	}
	return nil
}

// binary are the binary properties of Unicode.
func (p *parser) binary(name string) set {
	of := func(tables ...*unicode.RangeTable) set {
		return func(ch rune) bool { return unicode.In(ch, tables...) }
	}
	switch strings.ToUpper(name) {
	case "ALPHABETIC", "ALPHA":
		return isAlphabetic
	case "LETTER":
		return unicode.IsLetter
	case "IDEOGRAPHIC":
		return of(unicode.Ideographic)
	case "LOWERCASE", "LOWER":
		return p.cased(of(unicode.Ll, unicode.Other_Lowercase))
	case "UPPERCASE", "UPPER":
		return p.cased(of(unicode.Lu, unicode.Other_Uppercase))
	case "TITLECASE":
		return p.cased(unicode.IsTitle)
	case "WHITE_SPACE", "WHITESPACE":
		return isUnicodeSpace
	case "CONTROL":
		return unicode.IsControl
	case "PUNCTUATION", "PUNCT":
		return unicode.IsPunct
	case "HEX_DIGIT", "HEXDIGIT":
		return of(unicode.Nd, unicode.Hex_Digit)
	case "JOIN_CONTROL", "JOINCONTROL":
		return of(unicode.Join_Control)
	case "DIGIT":
		return unicode.IsDigit
	case "ALNUM":
		return func(ch rune) bool { return isAlphabetic(ch) || unicode.IsDigit(ch) }
	case "BLANK":
		return func(ch rune) bool { return ch == '\t' || unicode.Is(unicode.Zs, ch) }
	case "WORD":
		return isUnicodeWord
	}
	return nil
}

// category are Unicode's general categories, and what Java adds to them.
func (p *parser) category(name string) set {
	switch name {
	case "L1":
		return func(ch rune) bool { return ch < 0x100 }
	case "LC":
		return func(ch rune) bool { return unicode.In(ch, unicode.Lu, unicode.Ll, unicode.Lt) }
	case "LD":
		return func(ch rune) bool { return unicode.In(ch, unicode.L, unicode.Nd) }
	case "all":
		return func(rune) bool { return true }
	}
	table, ok := unicode.Categories[name]
	if !ok || len(name) > 2 {
		return nil
	}
	s := set(func(ch rune) bool { return unicode.Is(table, ch) })
	if name == "Ll" || name == "Lu" || name == "Lt" {
		return p.cased(s)
	}
	return s
}

// script are the characters of a script, by its full name in any case.
func script(name string) set {
	for known, table := range unicode.Scripts {
		if strings.EqualFold(known, name) {
			return func(ch rune) bool { return unicode.Is(table, ch) }
		}
	}
	return nil
}
