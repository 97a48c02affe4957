package config

import (
	"iter"
	"slices"
	"strings"
)

// Type is how the text of a property is read (ConfigDef.Type). Its value is the code that
// DescribeConfigs answers with.
type Type int8

// The types, numbered as DescribeConfigsResponse.ConfigType numbers them.
const (
	Unknown  Type = iota // a property that the table does not hold
	Bool                 // true or false, in any case
	String               // text without the white space around it
	Int                  // 32 bits
	Short                // 16 bits
	Long                 // 64 bits
	Double               // 64-bit floating point, as Java writes it
	List                 // strings separated by commas
	Class                // the name of a Java class
	Password             // text that is never shown
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

// String returns Kafka's name of the type, which its error messages use.
func (t Type) String() string { return typeNames[t] }

// Importance is how likely it is that an operator needs to set a property.
type Importance int8

// The three levels of ConfigDef.Importance.
const (
	High Importance = iota
	Medium
	Low
)

var importanceNames = [...]string{"HIGH", "MEDIUM", "LOW"}

// String returns Kafka's name of the level.
func (i Importance) String() string { return importanceNames[i] }

// Scope says where a property may be changed while brokers run (DynamicBrokerConfig).
type Scope int8

// The scopes.
const (
	ReadOnly    Scope = iota // only in the configuration file
	PerBroker                // in /config/brokers/ID
	ClusterWide              // there and in /config/brokers/<default>
	DynamicOnly              // only in those, never in the file
)

var scopeNames = [...]string{"read-only", "per-broker", "cluster-wide", "dynamic-only"}

// String returns the word that Kafka's documentation uses for the scope.
func (s Scope) String() string { return scopeNames[s] }

// Status says what Gregor does with a property.
type Status int8

const (
	// Built: the broker acts on the value.
	Built Status = iota
	// NoEffect: any valid value is accepted and shown, and nothing depends on it, because what it
	// tunes does not exist here or works without tuning.
	NoEffect
	// Refused: a value other than the default asks for something that Gregor does not have, so the
	// broker does not start with it.
	Refused
)

// A Property is one row of the table that parsing, validation, DescribeConfigs and config.toml
// are made from.
type Property struct {
	Name       string
	Type       Type
	Default    string    // in the form a file would have it; null if there is none
	Valid      Validator // nil: every value of the type
	Importance Importance
	Scope      Scope
	Status     Status
	Doc        string // one or two sentences: what the value does, with its unit, or what is missing
}

// null is the default of a property that has none.
const null = "\x00"

// HasDefault reports whether the property has a value when nobody sets it.
func (p *Property) HasDefault() bool { return p.Default != null }

// Sensitive reports whether the value must not be shown to anyone.
func (p *Property) Sensitive() bool { return p.Type == Password || p.Type == Unknown }

// synonyms returns the names under which p's setting is looked up, first one first.
func (p *Property) synonyms() []string {
	for _, chain := range chains {
		if chain.includes(p.Name) {
			return chain.names
		}
	}
	return []string{p.Name}
}

// A chain is one setting that has several names, from the one that wins to the one that loses.
type chain struct {
	names  []string
	millis []int64  // by name: what one unit of its value is, in milliseconds
	own    []string // names that stand alone when asked for, although the chain falls back on them
}

func (c chain) includes(name string) bool {
	return slices.Contains(c.names, name) && !slices.Contains(c.own, name)
}

const (
	minute = 60 * 1000
	hour   = 60 * minute
)

var chains = []chain{
	{names: []string{"log.roll.ms", "log.roll.hours"}, millis: []int64{1, hour}},
	{names: []string{"log.roll.jitter.ms", "log.roll.jitter.hours"}, millis: []int64{1, hour}},
	{
		names:  []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"},
		millis: []int64{1, 1},
		own:    []string{"log.flush.scheduler.interval.ms"},
	},
	{
		names:  []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
		millis: []int64{1, minute, hour},
	},
}

// table holds every property by name; it is filled once and never changed.
var table = func() map[string]*Property {
	t := make(map[string]*Property)
	for _, rows := range sections {
		for i := range rows.properties {
			p := &rows.properties[i]
			if _, twice := t[p.Name]; twice {
				panic("config: " + p.Name + " stands twice in the table")
			}
			t[p.Name] = p
		}
	}
	return t
}()

// A section is a part of the table with the heading it has in config.toml.
type section struct {
	heading    string
	properties []Property
}

// Lookup returns the property called name. A listener's own setting, as in
// listener.name.internal.max.connections, is looked up without its prefix.
func Lookup(name string) (*Property, bool) {
	p, ok := table[name]
	if !ok {
		if _, base, isListener := splitListener(name); isListener {
			p, ok = lookupSuffix(base)
		}
	}
	return p, ok
}

// lookupSuffix finds base, or what follows a SASL mechanism in it, as in
// listener.name.internal.scram-sha-256.sasl.jaas.config.
func lookupSuffix(base string) (*Property, bool) {
	if p, ok := table[base]; ok {
		return p, true
	}
	_, rest, ok := strings.Cut(base, ".")
	if !ok || !slices.Contains(perMechanism, rest) {
		return nil, false
	}
	p, ok := table[rest]
	return p, ok
}

// perMechanism are the settings that a listener can have once for each SASL mechanism.
var perMechanism = []string{
	"sasl.jaas.config", "sasl.login.callback.handler.class", "sasl.login.class",
	"sasl.server.callback.handler.class", "connections.max.reauth.ms",
}

const listenerPrefix = "listener.name."

// splitListener cuts a listener's own setting into the listener, in upper case, and the property.
func splitListener(name string) (listener, property string, ok bool) {
	rest, ok := strings.CutPrefix(name, listenerPrefix)
	if !ok {
		return "", "", false
	}
	listener, property, ok = strings.Cut(rest, ".")
	return strings.ToUpper(listener), property, ok && listener != ""
}

// Properties yields the table in its own order, which is that of config.toml.
func Properties() iter.Seq[*Property] {
	return func(yield func(*Property) bool) {
		for _, s := range sections {
			for i := range s.properties {
				if !yield(&s.properties[i]) {
					return
				}
			}
		}
	}
}
