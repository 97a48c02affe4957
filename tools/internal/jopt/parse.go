package jopt

import (
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/javamap"
)

// Parse reads a command line, without the command's name.
func (p *Parser) Parse(args []string) (*Set, error) {
	s := &Set{parser: p, given: map[string][]string{}, words: args}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if !looksLikeOption(word) {
			continue // Kafka's tools ignore what belongs to no option
		}
		var err error
		if args, err = p.option(s, word, args); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(p.options, func(o Option) bool { return o.Help && s.Has(o.Name) }) {
		return s, nil
	}
	if err := p.checkRequired(s); err != nil {
		return nil, err
	}
	return s, p.checkAvailable(s)
}

func looksLikeOption(word string) bool { return strings.HasPrefix(word, "-") && word != "-" }

// option handles the option in word and returns what is left of rest.
func (p *Parser) option(s *Set, word string, rest []string) ([]string, error) {
	name, value, _ := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	option, ok := p.lookup(name)
	if !ok && !strings.HasPrefix(word, "--") && name != "" {
		return p.cluster(s, word[1:], rest)
	}
	if !ok {
		return nil, unrecognized(name)
	}
	return p.take(s, option, value, rest)
}

// cluster handles -abc as the options a, b and c, of which the first that takes an argument ends it.
func (p *Parser) cluster(s *Set, letters string, rest []string) ([]string, error) {
	for i, letter := range letters {
		option, ok := p.lookup(string(letter))
		if !ok {
			return nil, unrecognized(string(letter))
		}
		if option.Arity != Flag {
			return p.take(s, option, letters[i+len(string(letter)):], rest)
		}
		s.mark(option.Name)
	}
	return rest, nil
}

// take records option with its value, or the next word if it has none.
func (p *Parser) take(s *Set, option Option, value string, rest []string) ([]string, error) {
	switch {
	case option.Arity == Flag:
		s.mark(option.Name)
		return rest, nil
	case value != "":
	case option.Arity == Optional:
		if len(rest) == 0 || looksLikeOption(rest[0]) {
			s.mark(option.Name)
			return rest, nil
		}
		value, rest = rest[0], rest[1:]
	case len(rest) == 0:
		return nil, &Error{Exception: "OptionMissingRequiredArgumentException",
			Message: "Option " + option.Name + " requires an argument"}
	default:
		value, rest = rest[0], rest[1:]
	}
	s.given[option.Name] = append(s.given[option.Name], value)
	s.order = append(s.order, option.Name)
	return rest, nil
}

// mark records that an option was given, without a value.
func (s *Set) mark(name string) {
	s.order = append(s.order, name)
	if _, given := s.given[name]; !given {
		s.given[name] = nil
	}
}

func (p *Parser) checkRequired(s *Set) error {
	var missing []string
	for _, option := range p.options {
		if option.RequiredUnless != "" && !s.Has(option.Name) && !s.Has(option.RequiredUnless) {
			missing = append(missing, option.Name)
		}
	}
	if missing == nil {
		return nil
	}
	return &Error{Exception: "MissingRequiredOptionsException",
		Message: "Missing required option(s) [" + strings.Join(missing, ", ") + "]"}
}

// checkAvailable refuses options that go with none of those given, naming them in the order of a Java HashMap.
func (p *Parser) checkAvailable(s *Set) error {
	var unavailable []string
	for _, option := range p.options {
		if option.AvailableWith != nil && s.Has(option.Name) && !s.Any(option.AvailableWith...) {
			unavailable = append(unavailable, option.Name)
		}
	}
	if unavailable == nil {
		return nil
	}
	javamap.Sort(unavailable, -1, func(name string) int32 { return 31 + javamap.HashString(name) })
	return &Error{Exception: "UnavailableOptionException",
		Message: "Option(s) [" + strings.Join(unavailable, ", ") + "] are unavailable given other options on the command line"}
}

func unrecognized(name string) error {
	return &Error{Exception: "UnrecognizedOptionException", Message: name + " is not a recognized option"}
}
