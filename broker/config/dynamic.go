package config

import (
	"maps"
	"slices"
	"strings"
)

// Dynamic is what ZooKeeper says of a broker's configuration while it runs (KIP-226): it stands over the
// file, and what is said of this one broker over what is said of all. Passwords are in the clear here.
type Dynamic struct {
	Default map[string]string // of /config/brokers/<default>
	Broker  map[string]string // of /config/brokers/ID
}

// WithDynamic returns the configuration that c's file and d make together. What c had from ZooKeeper does
// not count. The error, if any, is an *Error; d is not copied, and must not be changed any more.
func (c *Config) WithDynamic(d Dynamic) (*Config, error) {
	set := maps.Clone(c.file)
	override(set, d.Default)
	override(set, d.Broker)
	next, problems := build(set)
	if len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	next.file, next.dynamic = c.file, d
	return next, nil
}

// Dynamic returns what of c is from ZooKeeper. The caller must not change it.
func (c *Config) Dynamic() Dynamic { return c.dynamic }

// override puts over into set. All names of a setting give way, so that log.retention.ms of the file does not
// win against a log.retention.hours that stands over it (DynamicBrokerConfig.overrideProps).
func override(set, over map[string]string) {
	for name, value := range over {
		if p, ok := table[name]; ok {
			for _, synonym := range p.synonyms() {
				delete(set, synonym)
			}
		}
		set[name] = value
	}
}

// DynamicInt64 returns a number that only ZooKeeper can set, as leader.replication.throttled.rate.
func (c *Config) DynamicInt64(name string) int64 {
	p, ok := table[name]
	if !ok || p.Scope != DynamicOnly {
		panic("config: no property " + name + " that is only dynamic")
	}
	text := p.Default
	for _, set := range []map[string]string{c.dynamic.Default, c.dynamic.Broker} {
		if own, ok := set[name]; ok {
			text = own
		}
	}
	value, _ := p.Type.parse(text) // checked when it came
	n, _ := value.(int64)
	return n
}

// Changed lists the names whose settings, as texts, are not the same in c and next, sorted.
func (c *Config) Changed(next *Config) []string {
	return slices.Sorted(maps.Keys(c.changed(next)))
}

// Changes returns for the log, without secrets, what is set otherwise in next than in c; "" if nothing is.
func (c *Config) Changes(next *Config) string {
	var parts []string
	for _, name := range c.Changed(next) {
		now, before := name+" unset", "unset"
		if _, ok := next.set[name]; ok {
			now = shown(next.set, name, Lookup)
		}
		if _, ok := c.set[name]; ok {
			_, before, _ = strings.Cut(shown(c.set, name, Lookup), "=")
		}
		parts = append(parts, now+" (was "+before+")")
	}
	return strings.Join(parts, ", ")
}

func (c *Config) changed(next *Config) map[string]bool {
	names := make(map[string]bool)
	for name, text := range next.set {
		if before, ok := c.set[name]; !ok || before != text {
			names[name] = true
		}
	}
	for name := range c.set {
		if _, ok := next.set[name]; !ok {
			names[name] = true
		}
	}
	return names
}

// clusterListenerProperties are those that a listener can have of its own and that still can be given to all
// brokers at once.
var clusterListenerProperties = []string{"max.connections", "max.connection.creation.rate", "num.network.threads"}

// keyStores are the properties that may be changed for one listener only (SslConfigs.RECONFIGURABLE_CONFIGS).
var keyStores = []string{
	"ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password",
	"ssl.keystore.certificate.chain", "ssl.keystore.key",
	"ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.certificates",
}

// The groups of names that cannot be in a dynamic configuration, sorted, out of one.

func readOnlyNames(set map[string]string) []string {
	return namesWhere(set, func(name string) bool {
		p, ok := table[name]
		return ok && p.Scope == ReadOnly
	})
}

func bareKeyStores(set map[string]string) []string {
	return namesWhere(set, func(name string) bool { return slices.Contains(keyStores, name) })
}

func perBrokerNames(set map[string]string) []string {
	return namesWhere(set, func(name string) bool {
		if p, ok := table[name]; ok {
			return p.Scope == PerBroker
		}
		_, base, isListener := splitListener(name)
		return isListener && !slices.Contains(clusterListenerProperties, base)
	})
}

func namesWhere(set map[string]string, what func(name string) bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(set)), func(name string) bool { return !what(name) })
}

// checkDynamicValue parses a value of a dynamic configuration; a listener's is checked as the property that it
// stands for. What nobody knows may be anything.
func checkDynamicValue(name, text string) *Problem {
	if _, base, ok := splitListener(name); ok {
		name = base
	}
	p, ok := table[name]
	if !ok || p.Scope == ReadOnly {
		return nil
	}
	_, problem := p.read(text)
	return problem
}
