// Package javaregex matches names with regular expressions that were written for Kafka's tools, and so for Java.
//
// Go's engine, which never backtracks, has no lookahead; but that is how "all topics except these" is said:
// (?!__|test).* is what people type. Where lookaheads stand at the beginning of an alternative, as there, they are taken off
// and tried on their own. What else only Java's engine knows (lookahead elsewhere, lookbehind, back references, possessive
// quantifiers, intersections of classes) is an error.
package javaregex

import (
	"regexp"
	"strings"
)

// Pattern is an expression that must match a whole name.
type Pattern struct{ alternatives []alternative }

// alternative matches a name if whole does and every lookahead holds.
type alternative struct {
	whole *regexp.Regexp
	ahead []lookahead
}

// lookahead holds if begin matches, or, if it is negative, does not match; begin is anchored at the beginning only.
type lookahead struct {
	begin    *regexp.Regexp
	negative bool
}

// Compile reads an expression. Its errors are those of package regexp.
func Compile(text string) (*Pattern, error) {
	p := &Pattern{}
	for _, part := range alternatives(text) {
		a, err := newAlternative(part)
		if err != nil {
			return nil, err
		}
		p.alternatives = append(p.alternatives, a)
	}
	return p, nil
}

// Match reports whether the whole name matches.
func (p *Pattern) Match(name string) bool {
	for _, a := range p.alternatives {
		if a.match(name) {
			return true
		}
	}
	return false
}

func (a *alternative) match(name string) bool {
	for _, l := range a.ahead {
		if l.begin.MatchString(name) == l.negative {
			return false
		}
	}
	return a.whole.MatchString(name)
}

// Excluding returns an expression for package regexp that all names match, and others of which they must match none. ok is
// false if the pattern cannot be said so: if some of its alternatives have lookaheads, or they are not negative.
func (p *Pattern) Excluding() (include string, exclude []string, ok bool) {
	if len(p.alternatives) != 1 {
		return "", nil, false
	}
	a := p.alternatives[0]
	for _, l := range a.ahead {
		if !l.negative {
			return "", nil, false
		}
		exclude = append(exclude, l.begin.String())
	}
	return a.whole.String(), exclude, true
}

// alternatives splits an expression that has lookaheads; one without is left whole, flags at its beginning included.
func alternatives(text string) []string {
	if !strings.Contains(text, "(?!") && !strings.Contains(text, "(?=") {
		return []string{text}
	}
	var parts []string
	for {
		i := find(text, '|')
		parts = append(parts, text[:i])
		if i == len(text) {
			return parts
		}
		text = text[i+1:]
	}
}

func newAlternative(text string) (alternative, error) {
	var a alternative
	for {
		rest := strings.TrimPrefix(text, "^") // the beginning of a name is where matching begins
		negative := strings.HasPrefix(rest, "(?!")
		if !negative && !strings.HasPrefix(rest, "(?=") {
			break
		}
		end := find(rest, ')')
		if end == len(rest) {
			break // the group has no end, which compile finds out
		}
		begin, err := compile(rest[len("(?!"):end], "")
		if err != nil {
			return a, err
		}
		a.ahead = append(a.ahead, lookahead{begin, negative})
		text = rest[end+1:]
	}
	var err error
	a.whole, err = compile(text, "$")
	return a, err
}

// compile anchors an expression, which has to be one by itself.
func compile(text, end string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(text); err != nil {
		return nil, err
	}
	return regexp.Compile("^(?:" + text + ")" + end)
}

// find returns where c stands in an expression outside of classes and of groups, one that c itself closes excepted; the length
// of text if it does not.
func find(text string, c byte) int {
	groups, class := 0, -1 // class is where the one begins that i is in
	for i := 0; i < len(text); i++ {
		at := text[i]
		switch {
		case at == '\\':
			i++
			continue
		case class >= 0:
			if at == ']' && i > class+1 && (i > class+2 || text[class+1] != '^') {
				class = -1
			}
			continue
		case at == '[':
			class = i
		case at == '(':
			groups++
		case at == ')':
			groups--
		}
		if at == c && groups <= 0 {
			return i
		}
	}
	return len(text)
}
