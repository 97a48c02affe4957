// Package jopt reads command lines as Kafka's tools read them, which is as joptsimple 5 does:
// --name value, --name=value, -name value and -name=value are the same; what belongs to no option is
// ignored; an option with a required argument takes the next word whatever it looks like; options are
// never abbreviated. Values are converted when they are asked for, so a wrong number is an error of the
// command that wanted it, not of the command line.
//
// A Parser describes the options, Parse returns a Set of what was given, and the errors of both carry
// the class and text that the Java tools print.
package jopt

import (
	"slices"
	"strconv"
	"strings"
)

// Arity says whether an option takes an argument.
type Arity int8

// The three arities of an option.
const (
	Flag     Arity = iota // takes none
	Required              // takes one
	Optional              // takes one if the next word does not look like an option
)

// Kind is the type of an option's argument.
type Kind int8

// The kinds of arguments, with Java's ranges.
const (
	String Kind = iota
	Integer
	Long
)

func (k Kind) String() string { return [...]string{"String", "Integer", "Long"}[k] }

// Option is one option of a command.
type Option struct {
	Name    string // without dashes
	Arity   Arity
	Kind    Kind
	Names   []string // the only values, in any case; nil for any
	Value   string   // what the argument is, for the help text
	Default string   // used if the option is not given; "" for none
	Doc     string   // a sentence for the help text; newlines are kept

	Help           bool   // --help and --version: given, no option is required
	RequiredUnless string // required unless this option is given; "" for not required

	AvailableWith []string // refused unless one of these options is given; nil for always available
}

// Value returns an option that takes an argument; kind is what that is, for the help text.
func Value(name, kind, doc string) Option {
	return Option{Name: name, Arity: Required, Value: kind, Doc: doc}
}

// Switch returns an option without an argument.
func Switch(name, doc string) Option { return Option{Name: name, Doc: doc} }

// Parser holds the options of a command. Every Parser knows --help and --version.
type Parser struct {
	options []Option // by name
}

// New returns a parser of options, --help and --version.
func New(options ...Option) *Parser {
	all := append(slices.Clone(options),
		Option{Name: "help", Help: true, Doc: "Print what the command does and its options."},
		Option{Name: "version", Help: true, Doc: "Print the version of Kafka whose tools these are."})
	slices.SortFunc(all, func(a, b Option) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return &Parser{options: all}
}

// Options returns the options by name. The caller must not change them.
func (p *Parser) Options() []Option { return p.options }

func (p *Parser) lookup(name string) (Option, bool) {
	i, found := slices.BinarySearchFunc(p.options, name, func(o Option, name string) int {
		switch {
		case o.Name < name:
			return -1
		case o.Name > name:
			return 1
		}
		return 0
	})
	if !found {
		return Option{}, false
	}
	return p.options[i], true
}

// Set is what a command line gave.
type Set struct {
	parser *Parser
	given  map[string][]string // by option name; a flag has no values
	order  []string            // the name of every option, as often and in the order it was given
	words  []string
}

// Line returns the words of the command line, separated by spaces.
func (s *Set) Line() string { return strings.Join(s.words, " ") }

// Has reports whether the option was given; a default does not count.
func (s *Set) Has(name string) bool {
	_, ok := s.given[name]
	return ok
}

// Any reports whether one of the options was given.
func (s *Set) Any(names ...string) bool { return slices.ContainsFunc(names, s.Has) }

// Order returns the names of the options in the order in which they were given, each as often as it was.
func (s *Set) Order() []string { return s.order }

// Values returns all the values given for an option, in order.
func (s *Set) Values(name string) []string { return s.given[name] }

// Value returns the value given for an option, or else its default. Two values are an error.
func (s *Set) Value(name string) (string, error) {
	switch values := s.given[name]; len(values) {
	case 0:
		option, _ := s.parser.lookup(name)
		return option.Default, nil
	case 1:
		return values[0], nil
	}
	return "", &Error{Exception: "MultipleArgumentsForOptionException",
		Message: "Found multiple arguments for option " + name + ", but you asked for only one"}
}

// Texts returns the values of several options by their names.
func (s *Set) Texts(names ...string) (map[string]string, error) {
	texts := map[string]string{}
	for _, name := range names {
		text, err := s.Value(name)
		if err != nil {
			return nil, err
		}
		texts[name] = text
	}
	return texts, nil
}

// Int32 returns the value of an Integer option and whether there is one.
func (s *Set) Int32(name string) (int32, bool, error) {
	value, ok, err := s.number(name, 32)
	return int32(value), ok, err
}

// Int64 returns the value of a Long option and whether there is one.
func (s *Set) Int64(name string) (int64, bool, error) { return s.number(name, 64) }

// Number returns the value of an Integer or Long option and whether there is one.
func (s *Set) Number(name string) (int64, bool, error) {
	bits := 64
	if option, _ := s.parser.lookup(name); option.Kind == Integer {
		bits = 32
	}
	return s.number(name, bits)
}

func (s *Set) number(name string, bits int) (int64, bool, error) {
	text, err := s.Value(name)
	if err != nil || text == "" && !s.Has(name) {
		return 0, false, err
	}
	value, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return 0, false, &Error{Exception: "OptionArgumentConversionException",
			Message: "Cannot parse argument '" + text + "' of option " + name,
			Causes:  causedBy("java.lang.NumberFormatException: For input string: \"" + text + `"`)}
	}
	return value, true, nil
}

// causedBy returns the causes that Java prints below an error which a conversion method threw.
func causedBy(cause string) []string {
	return []string{"joptsimple.internal.ReflectionException: " + cause, cause}
}

// Enum returns which of the option's Names was given; "" for none.
func (s *Set) Enum(name string) (string, error) {
	text, err := s.Value(name)
	if err != nil || text == "" && !s.Has(name) {
		return "", err
	}
	option, _ := s.parser.lookup(name)
	for _, constant := range option.Names {
		if strings.EqualFold(constant, text) {
			return constant, nil
		}
	}
	return "", &Error{Exception: "OptionArgumentConversionException",
		Message: "Cannot parse argument '" + text + "' of option " + name,
		Causes:  []string{"joptsimple.ValueConversionException: Value [" + text + "] is not one of [[" + strings.Join(option.Names, ",") + "]]"}}
}

// Error is a command line that cannot be read.
type Error struct {
	Exception string // the class in package joptsimple
	Message   string
	Causes    []string // what Java prints below it, class and message of each, the outermost first
}

func (e *Error) Error() string { return e.Message }

// Class returns the full name of the Java class.
func (e *Error) Class() string { return "joptsimple." + e.Exception }

// Late reports whether the error came up when the value of an option was asked for, and not when the command
// line was read.
func (e *Error) Late() bool {
	return e.Exception == "OptionArgumentConversionException" || e.Exception == "MultipleArgumentsForOptionException"
}
