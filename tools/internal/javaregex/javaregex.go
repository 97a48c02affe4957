// Package javaregex matches names with regular expressions as java.util.regex does. Kafka's tools hand theirs to it, and
// what people have in scripts and files was written for it: (?!__).* for "all topics but the internal ones", \p{Alpha},
// [a-z&&[^q]], possessive quantifiers, lookbehind, back references, \Q..\E. Go's engine knows none of these, or reads
// something else into them.
//
// An expression is read into nodes by Java's rules, those of version 17, its oddities and the texts of its errors included
// (in a{2}{3} the second quantifier repeats nothing), and the nodes match by trying one way after the other, as Java's
// do. What is not built is an error of Compile: grapheme clusters (\X, \b{g}), characters by name (\N{..}), blocks and
// abbreviated names of scripts (\p{InGreek}, \p{IsGrek}), canonical equivalence ((?c)).
//
// Other engines that try, such as regexp2 with .NET's dialect, do not know possessive quantifiers, intersections, POSIX
// classes and \Q either: an expression has to be read by Java's rules in any case, and is matched in few lines then.
//
// Trying one way after the other may take for ever. Java then hangs, or overflows its stack where a group repeats over a
// long text; here it is an error after so many steps, or so deep.
package javaregex

// stepsMax is how many nodes may be tried on one text: about a second's work.
const stepsMax = 5_000_000

// Pattern is an expression that was read.
type Pattern struct {
	text   string
	root   node
	groups int  // capturing groups
	refers bool // to what they captured

	continues bool // \G is in it, the end of the match before
}

// Compile reads an expression. Its error is a *SyntaxError.
func Compile(text string) (pattern *Pattern, err error) {
	p := &parser{pattern: text, text: unquote([]rune(text)), names: map[string]int{}}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case *SyntaxError:
			err = failure
		default:
			panic(failure)
		}
	}()
	root := p.alternatives()
	switch {
	case p.at == len(p.text):
	case p.peek() == ')':
		p.fail("Unmatched closing ')'")
	default:
		p.fail("Unexpected internal error")
	}
	return &Pattern{text: text, root: root, groups: p.groups, refers: p.refers, continues: p.continues}, nil
}

// String returns the expression.
func (p *Pattern) String() string { return p.text }

// Match reports whether the whole text matches. It gives up with an error if that takes too long to find out.
func (p *Pattern) Match(text string) (matches bool, err error) { return p.match(text, stepsMax) }

func (p *Pattern) match(text string, steps int) (matches bool, err error) {
	m := p.matcher(text, steps)
	defer func() { err = m.gaveUp(recover(), p, text, err) }()
	return p.root.match(m, 0, func(at int) bool { return at == len(m.text) }), nil
}

func (p *Pattern) matcher(text string, steps int) *matcher {
	m := &matcher{text: []rune(text), groups: make([]span, p.groups+1), remember: !p.refers, steps: steps}
	m.reset()
	return m
}
