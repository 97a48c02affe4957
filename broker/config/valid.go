package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Validator checks a parsed value (ConfigDef.Validator).
type Validator interface {
	// check returns what Kafka says is wrong with value, the value as that message shows it, and
	// false, or true if value, which is nil for null, is allowed.
	check(name string, value any) (shown, problem string, ok bool)
	// String describes the values that are allowed, in Kafka's notation.
	String() string
}

// span allows the numbers from min to max; an infinite end is open.
type span struct{ min, max string }

func atLeast(min string) Validator      { return span{min: min} }
func between(min, max string) Validator { return span{min: min, max: max} }

func (s span) check(_ string, value any) (string, string, bool) {
	var x float64
	switch v := value.(type) {
	case int64:
		x = float64(v)
	case float64:
		x = v
	default:
		return "null", "Value must be non-null", false
	}
	switch {
	case s.min != "" && x < number(s.min):
		return format(value), "Value must be at least " + s.min, false
	case s.max != "" && x > number(s.max):
		return format(value), "Value must be no more than " + s.max, false
	}
	return "", "", true
}

func (s span) String() string {
	if s.max == "" {
		return "[" + s.min + ",...]"
	}
	return "[" + s.min + ",...," + s.max + "]"
}

// number reads a bound of the table.
func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic("config: bound " + s + " in the table is not a number")
	}
	return x
}

// oneOf allows the strings that it holds.
type oneOf []string

func (o oneOf) check(_ string, value any) (string, string, bool) {
	if s, _ := value.(string); slices.Contains(o, s) {
		return "", "", true
	}
	return orNull(value), "String must be one of: " + strings.Join(o, ", "), false
}

func (o oneOf) String() string { return "[" + strings.Join(o, ", ") + "]" }

// allOf allows lists of the strings that it holds.
type allOf []string

func (a allOf) check(name string, value any) (string, string, bool) {
	list, _ := value.([]string)
	for _, s := range list {
		if shown, problem, ok := oneOf(a).check(name, s); !ok {
			return shown, problem, false
		}
	}
	return "", "", true
}

func (a allOf) String() string { return oneOf(a).String() }

// oneOfAnyCase allows its strings, which are in upper case, in any case.
type oneOfAnyCase []string

func (o oneOfAnyCase) check(_ string, value any) (string, string, bool) {
	if s, _ := value.(string); slices.Contains(o, strings.ToUpper(s)) {
		return "", "", true
	}
	return orNull(value), "String must be one of (case insensitive): " + strings.Join(o, ", "), false
}

func (o oneOfAnyCase) String() string { return "(case insensitive) [" + strings.Join(o, ", ") + "]" }

// A rule is a validator of its own kind: what it says is allowed, and the check, which returns
// the problem or "".
type rule struct {
	allowed string
	problem func(name string, value any) string
}

func (r rule) check(name string, value any) (string, string, bool) {
	if problem := r.problem(name, value); problem != "" {
		return orNull(value), problem, false
	}
	return "", "", true
}

func (r rule) String() string { return r.allowed }

// listOf allows lists whose entries have a form; an empty list is as good as none.
func listOf(pattern, form string) rule {
	entry := regexp.MustCompile(pattern)
	return rule{"non-empty list", func(_ string, value any) string {
		list, _ := value.([]string)
		if slices.ContainsFunc(list, func(s string) bool { return !entry.MatchString(s) }) {
			return "Each entry should be in the form `" + form + "`"
		}
		return ""
	}}
}

func orNull(value any) string {
	if value == nil {
		return "null"
	}
	return formatJava(value)
}

var (
	nonNull = rule{"non-null string", func(_ string, value any) string {
		if value == nil {
			return "entry must be non null"
		}
		return ""
	}}
	nonEmpty = rule{"non-empty string", func(_ string, value any) string {
		if value == "" {
			return "String must be non-empty"
		}
		return ""
	}}
	// The lists of KRaft's quorum: nobody here acts on them, but a wrong one keeps any broker from starting.
	voters           = listOf(`^[+-]?[0-9]+@[^@]*?\[?[0-9a-zA-Z\-%._:]+\]?:[0-9]+$`, "{id}@{host}:{port}")
	bootstrapServers = listOf(`^.*?\[?[0-9a-zA-Z\-%._:]+\]?:[0-9]+$`, "{host}:{port}")
	gzipLevel        = rule{"[1,...,9] or -1", func(_ string, value any) string {
		if n, _ := value.(int64); n > 9 || n < 1 && n != -1 {
			return "Value must be between 1 and 9 or equal to -1"
		}
		return ""
	}}
	minusOneOrMore = rule{"-1 or [1,...]", func(_ string, value any) string {
		if n, _ := value.(int64); n < -1 || n == 0 {
			return "Value can be -1 or greater than 0"
		}
		return ""
	}}
	version = rule{"[" + strings.Join(versions, ", ") + "]", func(_ string, value any) string {
		s, _ := value.(string)
		if _, ok := parseVersion(s); !ok {
			return "Version " + s + " is not a valid version"
		}
		return ""
	}}
	replicaForm       = regexp.MustCompile(`^([0-9]+:[0-9]+)?$`)
	throttledReplicas = rule{"[partitionId]:[brokerId],[partitionId]:[brokerId],...", func(name string, value any) string {
		list, _ := value.([]string)
		if strings.Join(list, "") == "*" || !slices.ContainsFunc(list, func(s string) bool { return !replicaForm.MatchString(s) }) {
			return ""
		}
		return name + " must be the literal '*' or a list of replicas in the following format: " +
			"[partitionId]:[brokerId],[partitionId]:[brokerId],..."
	}}
)

// read parses text as p's value and checks it.
func (p *Property) read(text string) (any, *Problem) {
	value, problem := p.Type.parse(text)
	if problem != "" {
		return nil, p.invalid(text, problem)
	}
	return value, p.validate(value)
}

// validate checks a parsed value, nil for null.
func (p *Property) validate(value any) *Problem {
	if p.Valid == nil {
		return nil
	}
	if shown, problem, ok := p.Valid.check(p.Name, value); !ok {
		return p.invalid(shown, problem)
	}
	return nil
}

// invalid builds the text of a ConfigException.
func (p *Property) invalid(value, problem string) *Problem {
	if p.Sensitive() {
		value = "[hidden]"
	}
	return &Problem{Property: p.Name, Text: "Invalid value " + value + " for configuration " + p.Name + ": " + problem}
}
