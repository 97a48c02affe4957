package jackson

import (
	"strings"
	"unicode/utf16"
)

// quoted reads the rest of a string whose first quote has been read. problem, after separator, is what is
// said if it does not end.
func (p *parser) quoted(problem, separator string) string {
	var units []uint16
	for {
		if p.ended() {
			p.fail(eofException, p.at, "Unexpected end-of-input%s%s", separator, problem)
		}
		r := p.text[p.at]
		p.at++
		switch {
		case r == '"':
			return string(utf16.Decode(units))
		case r == '\\':
			units = append(units, p.escaped())
		case r < ' ':
			what := "string value"
			if separator == " " {
				what = "name"
			}
			p.text[p.at-1] = ' ' // a line's end here does not count as one
			p.fail(parseException, p.at, "Illegal unquoted character (%s): has to be escaped using backslash to be included in %s", describe(r), what)
		default:
			units = utf16.AppendRune(units, r)
		}
	}
}

// escaped reads what follows a backslash.
func (p *parser) escaped() uint16 {
	const inEscape = "Unexpected end-of-input in character escape sequence"
	if p.ended() {
		p.fail(eofException, p.at, inEscape)
	}
	r := p.text[p.at]
	p.at++
	if r != 'u' {
		if i := strings.IndexRune(`"\/bfnrt`, r); i >= 0 {
			return uint16("\"\\/\b\f\n\r\t"[i])
		}
		p.fail(parseException, p.at, "Unrecognized character escape %s", describe(r))
	}
	var unit uint16
	for range 4 {
		if p.ended() {
			p.fail(eofException, p.at, inEscape)
		}
		digit := strings.IndexRune("0123456789abcdef", p.text[p.at]|0x20)
		if digit < 0 || p.text[p.at] < '0' {
			p.unexpected(": expected a hex-digit for character escape sequence")
		}
		unit = unit<<4 | uint16(digit)
		p.at++
	}
	return unit
}

// unexpectedIn ends the reading at the character at, in a number; the place that is told is before told.
func (p *parser) unexpectedIn(at, told int, problem string) {
	p.fail(parseException, told, "Unexpected character (%s) in numeric value: %s", describe(p.text[at]), problem)
}

func (p *parser) digits() int {
	from := p.at
	for !p.ended() && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}

func (p *parser) number() Value {
	from := p.at
	if p.text[p.at] == '-' {
		p.at++
		p.afterMinus(from)
	}
	leading := p.at
	if n := p.digits(); n > 1 && p.text[leading] == '0' {
		p.fail(parseException, leading+1, "Invalid numeric value: Leading zeroes not allowed")
	}
	if !p.ended() && p.text[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			p.unexpectedIn(min(p.at, len(p.text)-1), p.at, "Decimal point not followed by a digit")
		}
	}
	if !p.ended() && (p.text[p.at] == 'e' || p.text[p.at] == 'E') {
		p.exponent()
	}
	if len(p.open) == 0 && !p.ended() && !strings.ContainsRune(" \t\r\n", p.text[p.at]) {
		p.unexpected(": Expected space separating root-level values")
	}
	return Value{kind: number, text: string(p.text[from:p.at])}
}

// afterMinus checks that a digit follows the sign.
func (p *parser) afterMinus(from int) {
	switch {
	case p.ended():
		p.fail(eofException, p.at, "Unexpected end-of-inputNo digit following minus sign")
	case p.text[p.at] >= '0' && p.text[p.at] <= '9':
	case strings.HasPrefix(string(p.text[p.at:]), "Infinity"), strings.HasPrefix(string(p.text[p.at:]), "INF"):
		for !p.ended() && isIdentifier(p.text[p.at], false) {
			p.at++
		}
		p.fail(parseException, p.at, "Non-standard token '%s': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow", string(p.text[from:p.at]))
	default:
		p.unexpectedIn(p.at, p.at+1, "expected digit (0-9) to follow minus sign, for valid numeric value")
	}
}

func (p *parser) exponent() {
	const problem = "expected a digit for number exponent"
	p.at++
	if !p.ended() && (p.text[p.at] == '+' || p.text[p.at] == '-') {
		p.at++
	}
	if p.digits() > 0 {
		return
	}
	if p.ended() {
		p.fail(eofException, p.at, "Unexpected end-of-input%s", problem)
	}
	p.fail(parseException, p.at, "Unexpected character (%s) in numeric value: Exponent indicator not followed by a digit", describe(p.text[p.at]))
}
