// Package config holds the broker's properties: one table of all that Kafka 3.9 knows, with types,
// defaults, limits and what Gregor does with each.
//
// Everything comes from that table: reading TOML and Java properties files, checking them, what
// DescribeConfigs answers, and config.toml. Names, defaults and the texts of errors are Kafka's.
//
//	file, overrides -> Load -> Config -> typed values, one component at a time
//	                                  -> Topic: a topic's own properties over the broker's
//	                                  -> DescribeBroker, DescribeTopic
//	Config, ZooKeeper -> FromStore -> WithDynamic -> Config
//
// A Config is immutable: what changes while the broker runs makes another one. A component does not get it
// whole: broker/server reads the values and fills in each component's options.
package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is a set of valid properties: those of ZooKeeper (see WithDynamic) over those of a file and its
// overrides, over the defaults.
// Its methods that take a property's name panic if the table does not have that property with that
// type, since that is a mistake in the program.
type Config struct {
	set     map[string]string // what was set, and the other name of broker.id; as written
	file    map[string]string // what of it was set in the file or an override
	dynamic Dynamic           // what was set in ZooKeeper
	values  map[string]any    // every property of the table by name; nil for null
	derived
}

// derived are the values that several properties make together.
type derived struct {
	listeners   []Endpoint
	advertised  []Endpoint
	protocols   map[string]SecurityProtocol
	interBroker string
	maxPerIP    map[string]int
	version     Version
}

// A Problem is one reason why a configuration is not accepted.
type Problem struct {
	Property string // "" if it is not about one property
	Text     string // Kafka's own where Kafka has one
	// Refused: Kafka would accept it, and Gregor lacks what it asks for.
	Refused bool

	setting string // Property, with its value if it is set, unless Text has both
}

// Error returns the text.
func (p *Problem) Error() string { return p.Text }

// An Error lists all that is wrong with a configuration.
type Error struct {
	File     string // "" without a file
	Problems []Problem
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "configuration")
	if e.File != "" {
		fmt.Fprintf(&b, " %s", e.File)
	}
	if len(e.Problems) == 1 {
		fmt.Fprintf(&b, ": %s%s", e.Problems[0].setting, e.Problems[0].Text)
		return b.String()
	}
	fmt.Fprintf(&b, ": %d problems", len(e.Problems))
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s%s", p.setting, p.Text)
	}
	return b.String()
}

// A Warning is something about a configuration that does not keep the broker from starting.
type Warning string

// New returns the configuration in which the given properties are set, as texts. The error, if any,
// is an *Error.
func New(set map[string]string) (*Config, []Warning, error) {
	c, problems := build(set)
	if !slices.ContainsFunc(problems, func(p Problem) bool { return !p.Refused }) {
		problems = append(problems, c.checkStart()...)
	}
	if len(problems) > 0 {
		for i := range problems {
			problems[i].setting = c.settingIn(&problems[i])
		}
		return nil, nil, &Error{Problems: problems}
	}
	return c, c.warnings(), nil
}

// settingIn returns what an operator must read before the text of a problem, which may be Kafka's and then does not
// always name the property and its value.
func (c *Config) settingIn(p *Problem) string {
	value, isSet := c.set[p.Property]
	if property, ok := Lookup(p.Property); ok {
		value = property.shown(value)
	}
	switch {
	case strings.Contains(p.Text, p.Property) && strings.Contains(p.Text, value):
		return ""
	case isSet:
		return p.Property + "=" + value + ": "
	}
	return p.Property + ": "
}

// build parses, checks and derives; the configuration is whole only if there are no problems.
func build(set map[string]string) (*Config, []Problem) {
	c := &Config{set: maps.Clone(set), values: make(map[string]any, len(table))}
	if c.set == nil {
		c.set = make(map[string]string)
	}
	copied := c.pairIDs()
	c.file = c.set
	problems := slices.DeleteFunc(c.parse(), func(p Problem) bool { return p.Property == copied })
	if len(problems) == 0 {
		problems = c.derive()
	}
	for _, refused := range c.refused() { // unless the value is wrong in the first place
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Property == refused.Property }) {
			problems = append(problems, refused)
		}
	}
	return c, problems
}

// pairIDs makes broker.id and node.id one setting (KafkaConfig.populateSynonyms). It returns the one that got
// the other's value, "" for none: what is wrong with that is said of the name that was written.
func (c *Config) pairIDs() (copied string) {
	broker, hasBroker := c.set["broker.id"]
	node, hasNode := c.set["node.id"]
	switch {
	case hasBroker && !hasNode:
		c.set["node.id"] = broker
		return "node.id"
	case hasNode && !hasBroker:
		c.set["broker.id"] = node
		return "broker.id"
	}
	return ""
}

// parse fills in values from what is set and from the defaults.
func (c *Config) parse() []Problem {
	var problems []Problem
	for p := range Properties() {
		text, isSet := c.set[p.Name]
		switch {
		case p.Scope == DynamicOnly: // means nothing in a file
		case isSet:
			value, problem := p.read(text)
			if problem != nil {
				problems = append(problems, *problem)
			}
			c.values[p.Name] = value
		case p.HasDefault():
			c.values[p.Name], _ = p.Type.parse(p.Default)
		default:
			c.values[p.Name] = nil
		}
	}
	return append(problems, c.checkListenerOverrides()...)
}

// refused lists the properties whose values ask for something that is not built.
func (c *Config) refused() []Problem {
	var problems []Problem
	for p := range Properties() {
		text, isSet := c.set[p.Name]
		if !isSet || p.Status != Refused || p.isDefault(text) {
			continue
		}
		problems = append(problems, Problem{Property: p.Name, Refused: true,
			Text: fmt.Sprintf("%s=%s is not supported and must be removed. %s", p.Name, p.shown(text), p.Doc)})
	}
	return append(problems, c.refusedProviders()...)
}

func (p *Property) isDefault(text string) bool {
	value, problem := p.Type.parse(text)
	if problem != "" {
		return false
	}
	if p.asksForNothing(value) {
		return true
	}
	if !p.HasDefault() {
		return format(value) == ""
	}
	byDefault, _ := p.Type.parse(p.Default)
	if p.Name == "inter.broker.protocol.version" { // 3.9 and 3.9.1 mean the same
		got, ok := parseVersion(format(value))
		return ok && got.String() == p.Default
	}
	return format(value) == format(byDefault)
}

func (p *Property) shown(text string) string {
	if p.Sensitive() {
		return "[hidden]"
	}
	return trim(text)
}

// warnings lists what is accepted and not acted on.
func (c *Config) warnings() []Warning {
	var unknown, strangers []string
	for _, name := range slices.Sorted(maps.Keys(c.set)) {
		switch p, ok := Lookup(name); {
		case !ok || p.Scope == DynamicOnly:
			unknown = append(unknown, name)
		case p.Name != name && !c.isForListener(name):
			strangers = append(strangers, name)
		}
	}
	var warnings []Warning
	if len(unknown) > 0 {
		warnings = append(warnings, Warning("these properties are not known, or not in a file, and have no effect: "+strings.Join(unknown, ", ")))
	}
	if len(strangers) > 0 {
		warnings = append(warnings, Warning("these properties have no effect: "+
			"no listener has that name, which must be in lower case after listener.name.: "+strings.Join(strangers, ", ")))
	}
	return warnings
}

// Summary returns what was set, for the log, as Shown does.
func (c *Config) Summary() string { return Shown(c.set, Lookup) }

// Shown returns properties for the log, without secrets: name=value by name, separated by commas. find is Lookup or
// LookupTopic; the value of a property that it does not know may be a secret.
func Shown(set map[string]string, find func(name string) (*Property, bool)) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, shown(set, name, find))
	}
	return strings.Join(parts, ", ")
}

func shown(set map[string]string, name string, find func(name string) (*Property, bool)) string {
	p, known := find(name)
	if !known {
		p = &Property{Type: Unknown}
	}
	return name + "=" + p.shown(set[name])
}
