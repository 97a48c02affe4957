package config

import (
	"maps"
	"slices"
	"strings"
)

// Source says where a value comes from, in DescribeConfigs' numbers.
type Source int8

// The sources, strongest first.
const (
	FromTopic         Source = 1 // the topic's own configuration
	FromBroker        Source = 2 // the broker's dynamic configuration
	FromBrokerDefault Source = 3 // the cluster's dynamic default for brokers
	FromFile          Source = 4 // the broker's file, or an override on its command line
	FromDefault       Source = 5
	FromLogger        Source = 6 // the level of a logger
)

// A Synonym is one of the settings that decide a value.
type Synonym struct {
	Name   string
	Value  *string // nil if sensitive
	Source Source
}

// An Entry is a property as DescribeConfigs shows it.
type Entry struct {
	Name      string
	Value     *string // nil for null and for sensitive values
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Synonyms  []Synonym // the deciding one first
	Type      Type
	Doc       string
}

// DescribeBroker returns every property of the broker, unknown ones that were set included, by name.
func (c *Config) DescribeBroker() []Entry {
	names := slices.Collect(maps.Keys(c.set))
	for p := range Properties() {
		if !p.Internal() && p.Scope != DynamicOnly {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	entries := make([]Entry, len(names))
	for i, name := range names {
		entries[i] = c.describe(name)
	}
	return entries
}

// DescribeBrokerDefaults returns the dynamic configuration of all brokers, by name.
func (c *Config) DescribeBrokerDefaults() []Entry {
	entries := make([]Entry, 0, len(c.dynamic.Default))
	for _, name := range slices.Sorted(maps.Keys(c.dynamic.Default)) {
		e := c.describe(name)
		if !e.Sensitive {
			e.Value = new(c.dynamic.Default[name])
		}
		e.Source = FromDefault
		e.Synonyms = slices.DeleteFunc(e.Synonyms, func(s Synonym) bool { return s.Source != FromBrokerDefault })
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		entries = append(entries, e)
	}
	return entries
}

func (c *Config) describe(name string) Entry {
	p, known := Lookup(name)
	if !known {
		p = &Property{Name: name, Type: Unknown}
	}
	e := Entry{Name: name, Source: FromDefault, ReadOnly: p.Name != name || p.Scope != PerBroker && p.Scope != ClusterWide,
		Sensitive: p.Sensitive(), Type: p.Type, Doc: p.Doc}
	if !e.Sensitive {
		e.Value = c.shown(name)
	}
	e.Synonyms = c.synonyms(name, p)
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	return e
}

// shown returns the value of name as text, nil for null.
func (c *Config) shown(name string) *string {
	if value, ok := c.values[name]; ok {
		if value == nil {
			return nil
		}
		return new(format(value))
	}
	return new(c.set[name])
}

// synonyms lists the settings of name that exist, from the strongest source on. What comes before
// name's own is left out (ConfigHelper.configSynonyms).
func (c *Config) synonyms(name string, p *Property) []Synonym {
	names := []string{name}
	if p.Name == name {
		names = p.synonyms()
	} else if p.Name != "" {
		names = append(names, p.Name)
	}
	var list []Synonym
	add := func(name, value string, source Source) {
		s := Synonym{Name: name, Source: source}
		if !p.Sensitive() {
			s.Value = &value
		}
		list = append(list, s)
	}
	for _, from := range []struct {
		set    map[string]string
		source Source
	}{{c.dynamic.Broker, FromBroker}, {c.dynamic.Default, FromBrokerDefault}, {c.file, FromFile}} {
		for _, n := range names {
			if text, ok := from.set[n]; ok {
				add(n, text, from.source)
			}
		}
	}
	for _, n := range names {
		if q, ok := table[n]; ok && q.HasDefault() && q.Scope != DynamicOnly {
			value, _ := q.Type.parse(q.Default)
			add(n, format(value), FromDefault)
		}
	}
	first := slices.IndexFunc(list, func(s Synonym) bool { return s.Name == name })
	if first < 0 {
		return nil
	}
	return list[first:]
}

// Describe returns every property of the topic, by name. Config is the broker's configuration that
// the topic was made from.
func (t *Topic) Describe(c *Config) []Entry {
	entries := make([]Entry, 0, len(topicProperties))
	for i := range topicProperties {
		p := &topicProperties[i]
		e := Entry{Name: p.Name, Source: FromDefault, Sensitive: p.Sensitive(), Type: p.Type, Doc: p.Doc}
		e.Value = new(format(t.values[p.Name]))
		if _, overridden := t.overridden[p.Name]; overridden {
			e.Synonyms = append(e.Synonyms, Synonym{Name: p.Name, Value: e.Value, Source: FromTopic})
		}
		if p.server != "" {
			e.Synonyms = append(e.Synonyms, c.synonyms(p.server, table[p.server])...)
		}
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		entries = append(entries, e)
	}
	for name := range t.overridden {
		if _, known := topicTable[name]; !known { // of a later version of Kafka, perhaps a secret
			entries = append(entries, Entry{Name: name, Source: FromTopic, Sensitive: true, Synonyms: []Synonym{{Name: name, Source: FromTopic}}})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}
