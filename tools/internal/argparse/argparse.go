// Package argparse reads command lines with subcommands as those of Kafka's tools that are built on
// argparse4j 0.7 do: options and subcommands may be abbreviated, -b value, -bvalue, --server value and
// --server=value are the same, what is not known is an error, and errors and help are laid out in lines of
// 75 characters, filled with spaces.
//
// A Parser describes the command line, Parse returns a Set of what was given. Its errors are *Help and
// *Error, which both print what argparse4j prints.
package argparse

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Option is an option with a value.
type Option struct {
	Flags    []string // "--bootstrap-server", "-b": the first is shown in usage
	Doc      string   // a sentence for the help text
	Integer  bool     // the value is a number of 32 bits
	Required bool
	// OneOf: of the options of a parser with this mark exactly one must be given.
	OneOf bool

	help bool
}

// name returns the long flag without dashes, by which a Set knows the option.
func (o *Option) name() string {
	for _, flag := range o.Flags {
		if strings.HasPrefix(flag, "--") {
			return flag[2:]
		}
	}
	return strings.TrimLeft(o.Flags[0], "-")
}

// textualName is how messages name the option.
func (o *Option) textualName() string { return strings.Join(o.Flags, "/") }

func (o *Option) metavar() string {
	return strings.ToUpper(strings.ReplaceAll(o.name(), "-", "_"))
}

// syntax returns the first flag with its value.
func (o *Option) syntax() string {
	if o.help {
		return o.Flags[0]
	}
	return o.Flags[0] + " " + o.metavar()
}

// Parser describes a program or one of its subcommands. Every parser knows -h and --help.
type Parser struct {
	Program  string // the same for a program and its subcommands
	Name     string // of a subcommand, "" for the program
	Doc      string // a program's description, a subcommand's line in the help of its program
	Options  []Option
	Commands []*Parser
}

func (p *Parser) options() []*Option {
	all := []*Option{{Flags: []string{"-h", "--help"}, Doc: "show this help message and exit", help: true}}
	for i := range p.Options {
		all = append(all, &p.Options[i])
	}
	return all
}

// Set is what a command line gave.
type Set struct {
	Command string // the subcommand, by its full name
	values  map[string]string
}

// Value returns the value of an option by its long name without dashes; of two the last one counts.
func (s *Set) Value(name string) (value string, given bool) {
	value, given = s.values[name]
	return value, given
}

// Int32 returns the value of an Integer option, 0 if it was not given.
func (s *Set) Int32(name string) int32 {
	n, _ := strconv.ParseInt(s.values[name], 10, 32) // checked by Parse
	return int32(n)
}

// Help is the end of a command line that asks for help.
type Help struct{ parser *Parser }

func (h *Help) Error() string { return "help was asked for" }

// Print writes the help.
func (h *Help) Print(w io.Writer) { h.parser.PrintHelp(w) }

// Error is a command line that is wrong.
type Error struct {
	Message string

	parser   *Parser
	unknown  string   // the option or subcommand that is not known
	proposed []string // what could have been meant by it
}

func (e *Error) Error() string { return e.Message }

// Print writes the usage, the message and, if something is not known, what may have been meant.
func (e *Error) Print(w io.Writer) {
	e.parser.printUsage(w)
	fmt.Fprint(w, wrap(e.parser.Program+": error: "+e.Message+"\n", 0, ""))
	if meant := similar(e.unknown, e.proposed); meant != nil {
		fmt.Fprintf(w, "\nDid you mean:\n\t%s\n", strings.Join(meant, "\n\t"))
	}
}

func (p *Parser) errorf(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), parser: p}
}

// Parse reads the words of a command line, without the program's name.
func (p *Parser) Parse(args []string) (*Set, error) {
	set := &Set{values: map[string]string{}}
	err := p.parse(set, args)
	if err != nil {
		return nil, err
	}
	return set, nil
}

// state is what parse has seen of one parser's options.
type state struct {
	used  []*Option
	oneOf *Option
}

func (p *Parser) parse(set *Set, args []string) error {
	var s state
	separated := false
	for len(args) > 0 {
		word := args[0]
		switch {
		case !separated && word == "--":
			separated, args = true, args[1:]
		case !separated && isFlag(word):
			var err error
			if args, err = p.flag(set, &s, word, args[1:]); err != nil {
				return err
			}
		case !separated && p.Commands != nil:
			if err := p.checkRequired(&s); err != nil {
				return err
			}
			return p.command(set, word, args[1:])
		default:
			return p.errorf("unrecognized arguments: '%s'", strings.Join(args, " "))
		}
	}
	if p.Commands != nil {
		return p.errorf("too few arguments")
	}
	return p.checkRequired(&s)
}

// isFlag reports whether a word is an option and not a value, such as - and -1.
func isFlag(word string) bool {
	if strings.Trim(word, "-") == "" {
		return false
	}
	_, err := strconv.ParseUint(strings.TrimPrefix(word, "-"), 10, 64)
	return word[0] == '-' && err != nil
}

// flag handles the option in word and returns what is left of rest.
func (p *Parser) flag(set *Set, s *state, word string, rest []string) ([]string, error) {
	flag, value, embedded := strings.Cut(word, "=")
	option, err := p.resolve(flag)
	if err != nil {
		return nil, err
	}
	if option == nil && !strings.HasPrefix(word, "--") {
		// -bvalue: of several options in one word, -h would be the only one without a value.
		if option = p.exact(word[:2]); option != nil && len(word) > 2 {
			value, embedded = word[2:], true
		}
	}
	if option == nil {
		err := p.errorf("unrecognized arguments: '%s'", word)
		if err.unknown = strings.TrimLeft(word, "-"); len(err.unknown) < 2 {
			return nil, err
		}
		for _, o := range p.options() {
			err.proposed = append(err.proposed, o.Flags...)
		}
		return nil, err
	}
	if option.help {
		return nil, &Help{p}
	}
	return p.take(set, s, option, value, embedded, rest)
}

// take records option with the value that stands in its word, or else with the next word.
func (p *Parser) take(set *Set, s *state, option *Option, value string, embedded bool, rest []string) ([]string, error) {
	if option.OneOf {
		if s.oneOf != nil && s.oneOf != option {
			return nil, p.errorf("argument %s: not allowed with argument %s", option.textualName(), s.oneOf.textualName())
		}
		s.oneOf = option
	}
	if !embedded {
		if len(rest) == 0 || rest[0] == "--" || isFlag(rest[0]) {
			return nil, p.errorf("argument %s: expected one argument", option.textualName())
		}
		value, rest = rest[0], rest[1:]
	}
	if _, err := strconv.ParseInt(value, 10, 32); option.Integer && err != nil {
		return nil, p.errorf("argument %s: could not convert '%s' to Integer (For input string: \"%s\")",
			option.textualName(), value, value)
	}
	set.values[option.name()] = value
	s.used = append(s.used, option)
	return rest, nil
}

// exact returns the option with a flag, nil if there is none.
func (p *Parser) exact(flag string) *Option {
	for _, o := range p.options() {
		if slices.Contains(o.Flags, flag) {
			return o
		}
	}
	return nil
}

// resolve returns the option that a flag names or abbreviates, nil if there is none.
func (p *Parser) resolve(flag string) (*Option, error) {
	if option := p.exact(flag); option != nil {
		return option, nil
	}
	var candidates []string
	for _, o := range p.options() {
		for _, f := range o.Flags {
			if strings.HasPrefix(f, flag) {
				candidates = append(candidates, f)
			}
		}
	}
	switch len(candidates) {
	case 0:
		return nil, nil
	case 1:
		return p.exact(candidates[0]), nil
	}
	slices.Sort(candidates)
	return nil, p.errorf("ambiguous option: %s could match %s", flag, strings.Join(candidates, ", "))
}

func (p *Parser) checkRequired(s *state) error {
	var missing *Option // the last one is named
	oneOf := ""
	for _, o := range p.options() {
		if o.Required && !slices.Contains(s.used, o) {
			missing = o
		}
		if o.OneOf {
			oneOf += o.textualName() + " "
		}
	}
	switch {
	case missing != nil:
		return p.errorf("argument %s is required", missing.textualName())
	case oneOf != "" && s.oneOf == nil:
		return p.errorf("one of the arguments %sis required", oneOf)
	}
	return nil
}

// command goes on with the subcommand that word names or abbreviates.
func (p *Parser) command(set *Set, word string, rest []string) error {
	var names, quoted []string
	var found []*Parser
	for _, c := range p.Commands {
		names, quoted = append(names, c.Name), append(quoted, "'"+c.Name+"'")
		switch {
		case c.Name == word:
			found = []*Parser{c}
		case strings.HasPrefix(c.Name, word) && word != "" && !slices.ContainsFunc(found, func(f *Parser) bool { return f.Name == word }):
			found = append(found, c)
		}
	}
	if len(found) == 1 {
		set.Command = found[0].Name
		return found[0].parse(set, rest)
	}
	if len(found) > 1 {
		var could []string
		for _, c := range found {
			could = append(could, c.Name)
		}
		slices.Sort(could)
		return p.errorf("ambiguous command: %s could match %s", word, strings.Join(could, ", "))
	}
	err := p.errorf("invalid choice: '%s' (choose from %s)", word, strings.Join(quoted, ", "))
	err.unknown, err.proposed = word, names
	return err
}
