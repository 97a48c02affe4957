package jackson

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

const (
	parseException = "com.fasterxml.jackson.core.JsonParseException"
	eofException   = "com.fasterxml.jackson.core.io.JsonEOFException"
	depthException = "com.fasterxml.jackson.core.exc.StreamConstraintsException"

	source     = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
	valueKinds = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	maxDepth   = 1000
)

// Parse returns the first value in a text; of a text with nothing but spaces it is a value that is nothing.
// The error is a *throwable.Exception of Jackson's.
func Parse(data []byte) (v Value, err error) {
	if len(data) == 0 {
		return Value{}, throwable.New(parseException, "The input string shouldn't be empty")
	}
	p := &parser{text: []rune(string(data))}
	defer func() {
		if failure, ok := recover().(*throwable.Exception); ok {
			v, err = Value{}, failure
		}
	}()
	p.spaces()
	if p.ended() {
		return Value{kind: missing}, nil
	}
	return p.value(0), nil
}

// parser walks through a text. Its methods panic with the exception that ends the reading; Parse returns it.
type parser struct {
	text []rune
	at   int
	open []mark // arrays and objects around the current place
}

// mark is the place where an array or an object began.
type mark struct {
	closing rune
	name    string
	at      int
}

func (p *parser) ended() bool { return p.at >= len(p.text) }

func (p *parser) spaces() {
	for !p.ended() && strings.ContainsRune(" \t\r\n", p.text[p.at]) {
		p.at++
	}
}

// location returns line and column of a place, both from 1.
func (p *parser) location(at int) string {
	line, column := 1, 1
	for _, r := range p.text[:min(at, len(p.text))] {
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return fmt.Sprintf("%sline: %d, column: %d]", source, line, column)
}

// fail ends the reading with a message about the place before at.
func (p *parser) fail(class string, at int, format string, args ...any) {
	panic(throwable.New(class, fmt.Sprintf(format, args...)+"\n at "+p.location(at)))
}

// unexpected ends the reading at the current character.
func (p *parser) unexpected(wanted string) {
	r := p.text[p.at]
	p.fail(parseException, p.at+1, "Unexpected character (%s)%s", describe(r), wanted)
}

func describe(r rune) string {
	if r < ' ' {
		return fmt.Sprintf("(CTRL-CHAR, code %d)", r)
	}
	return fmt.Sprintf("'%c' (code %d)", r, r)
}

// value reads the value that begins here.
func (p *parser) value(depth int) Value {
	if depth > maxDepth {
		p.fail(depthException, p.at, "Document nesting depth (%d) exceeds the maximum allowed (%d, from "+
			"`StreamReadConstraints.getMaxNestingDepth()`)", depth, maxDepth)
	}
	switch r := p.text[p.at]; {
	case r == '{':
		return p.object(depth)
	case r == '[':
		return p.array(depth)
	case r == '"':
		p.at++
		return Value{kind: text, text: p.quoted("was expecting closing quote for a string value", ": ")}
	case r == '-' || r >= '0' && r <= '9':
		return p.number()
	case r == ']' || r == '}':
		p.misplaced(r)
	case r == '+':
		if p.at+1 == len(p.text) {
			p.fail(eofException, p.at+1, "Unexpected end-of-input in a Number value")
		}
		p.unexpectedIn(p.at, p.at+2, "JSON spec does not allow numbers to have plus signs: enable "+
			"`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow")
	case r == '/':
		p.unexpected(": maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)")
	case isIdentifier(r, true):
		return p.word()
	}
	p.unexpected(": expected a valid value " + valueKinds)
	return Value{}
}

// misplaced ends the reading at a bracket that closes something else than what is open, or is no value.
func (p *parser) misplaced(r rune) {
	if len(p.open) > 0 && p.open[len(p.open)-1].closing == r {
		p.unexpected(": expected a valid value " + valueKinds)
	}
	inner := mark{closing: ']' + '}' - r, name: "root"}
	start := source + "line: 1]"
	if len(p.open) > 0 {
		inner = p.open[len(p.open)-1]
		start = p.location(inner.at)
	}
	p.fail(parseException, p.at+1, "Unexpected close marker '%c': expected '%c' (for %s starting at %s)", r, inner.closing, inner.name, start)
}

// next skips spaces inside an array or object, where the text must not end; "" for problem is that the array
// or object is not closed.
func (p *parser) next(class, problem string) rune {
	if p.spaces(); !p.ended() {
		return p.text[p.at]
	}
	if problem == "" {
		inner := p.open[len(p.open)-1]
		problem = ": expected close marker for " + inner.name + " (start marker at " + p.location(inner.at) + ")"
	}
	p.fail(class, p.at, "Unexpected end-of-input%s", problem)
	return 0
}

// enter notes that an array or object begins here.
func (p *parser) enter(closing rune, name string) {
	p.open = append(p.open, mark{closing, name, p.at})
	p.at++
}

func (p *parser) leave() {
	p.at++
	p.open = p.open[:len(p.open)-1]
}

func (p *parser) array(depth int) Value {
	v := Value{kind: array}
	p.enter(']', "Array")
	for first := true; ; first = false {
		switch r := p.next(eofException, ""); {
		case r == ']':
			p.leave()
			return v
		case r == '}' && !first:
			p.misplaced(r)
		case !first && r != ',':
			p.unexpected(": was expecting comma to separate Array entries")
		case !first:
			p.at++
			p.next(parseException, " within/between Array entries")
		}
		v.elements = append(v.elements, p.value(depth+1))
	}
}

func (p *parser) object(depth int) Value {
	const between = " within/between Object entries"
	v := Value{kind: object}
	p.enter('}', "Object")
	for first := true; ; first = false {
		switch r := p.next(eofException, ""); {
		case r == '}':
			p.leave()
			return v
		case r == ']':
			p.misplaced(r)
		case !first && r != ',':
			p.unexpected(": was expecting comma to separate Object entries")
		case !first:
			p.at++
			p.next(parseException, between)
		}
		if p.text[p.at] != '"' {
			p.unexpected(": was expecting double-quote to start field name")
		}
		p.at++
		name := p.quoted("in field name", " ")
		if p.next(eofException, between) != ':' {
			p.unexpected(": was expecting a colon to separate field name and value")
		}
		p.at++
		p.next(eofException, between)
		v.set(name, p.value(depth+1))
	}
}

func (v *Value) set(name string, value Value) {
	for i := range v.fields {
		if v.fields[i].name == name {
			v.fields[i].value = value
			return
		}
	}
	v.fields = append(v.fields, field{name, value})
}

// word reads true, false or null.
func (p *parser) word() Value {
	from := p.at
	for !p.ended() && isIdentifier(p.text[p.at], false) {
		p.at++
	}
	switch word := string(p.text[from:p.at]); word {
	case "true", "false":
		return Value{kind: boolean, text: word}
	case "null":
		return Value{kind: null, text: word}
	case "NaN", "Infinity", "INF":
		p.fail(parseException, p.at, "Non-standard token '%s': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow", word)
	default:
		p.fail(parseException, p.at, "Unrecognized token '%s': was expecting %s", word, valueKinds)
	}
	return Value{}
}

func isIdentifier(r rune, first bool) bool {
	return unicode.IsLetter(r) || r == '_' || r == '$' || !first && unicode.IsDigit(r)
}
