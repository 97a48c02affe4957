package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

// value returns the parsed value of name, which must be in the table with one of the types.
func (c *Config) value(name string, types ...Type) any {
	p, ok := table[name]
	if !ok || !slices.Contains(types, p.Type) {
		panic("config: no property " + name + " of the type asked for")
	}
	return c.values[name]
}

// IsSet reports whether name was set in the file or an override.
func (c *Config) IsSet(name string) bool {
	_, ok := c.set[name]
	return ok
}

// Has reports whether name has a value, set or by default: those whose default is null may not.
func (c *Config) Has(name string) bool {
	if _, ok := table[name]; !ok {
		panic("config: no property " + name)
	}
	return c.values[name] != nil
}

// Bool returns a boolean property.
func (c *Config) Bool(name string) bool {
	v, _ := c.value(name, Bool).(bool)
	return v
}

// Int returns a property of 16, 32 or 64 bits; 0 for null.
func (c *Config) Int(name string) int { return int(c.Int64(name)) }

// Int64 returns a property of 16, 32 or 64 bits; 0 for null.
func (c *Config) Int64(name string) int64 {
	v, _ := c.value(name, Short, Int, Long).(int64)
	return v
}

// Float returns a floating-point property.
func (c *Config) Float(name string) float64 {
	v, _ := c.value(name, Double).(float64)
	return v
}

// Text returns a string, class or password; "" for null.
func (c *Config) Text(name string) string {
	v, _ := c.value(name, String, Class, Password).(string)
	return v
}

// List returns a list, which is nil for null. The caller must not change it.
func (c *Config) List(name string) []string {
	v, _ := c.value(name, List).([]string)
	return v
}

// Millis returns a property that counts milliseconds, as one whose name ends in .ms does. Values
// beyond the range of a Duration, which is 292 years, become its longest; null becomes 0, and
// negative values, which commonly mean "never", stay negative.
func (c *Config) Millis(name string) time.Duration { return Milliseconds(c.Int64(name)) }

// Milliseconds turns a count of milliseconds into a Duration, the nearest one there is.
func Milliseconds(ms int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(max(ms, -most), most)) * time.Millisecond
}

// chain returns a setting that has several names, in milliseconds: the first name that has a value
// counts.
func (c *Config) chain(first string) int64 {
	for _, chain := range chains {
		if chain.names[0] != first {
			continue
		}
		for i, name := range chain.names {
			if c.values[name] != nil {
				return c.Int64(name) * chain.millis[i]
			}
		}
	}
	panic("config: no chain of properties begins with " + first)
}

// LogDirs returns log.dirs or, if that is not set, log.dir, as a list.
func (c *Config) LogDirs() []string {
	if c.Has("log.dirs") {
		return splitNonEmpty(c.Text("log.dirs"))
	}
	return splitNonEmpty(c.Text("log.dir"))
}

// BrokerID returns broker.id, -1 if one is to be generated.
func (c *Config) BrokerID() int32 { return int32(c.Int("broker.id")) }

// ZooKeeperConnectionTimeout returns zookeeper.connection.timeout.ms or, if that is not set, the
// session timeout.
func (c *Config) ZooKeeperConnectionTimeout() time.Duration {
	if c.Has("zookeeper.connection.timeout.ms") {
		return c.Millis("zookeeper.connection.timeout.ms")
	}
	return c.Millis("zookeeper.session.timeout.ms")
}

// InterBrokerProtocol returns inter.broker.protocol.version.
func (c *Config) InterBrokerProtocol() Version { return c.version }

// MaxConnectionsPerIP returns max.connections.per.ip.overrides: limits by host name or address.
// The caller must not change it.
func (c *Config) MaxConnectionsPerIP() map[string]int { return c.maxPerIP }

// ListenerInt returns listener.name.LISTENER.NAME, a number that a listener has of its own, and
// whether it is set. The listener's name is in upper case.
func (c *Config) ListenerInt(listener, name string) (int, bool) {
	p, ok := table[name]
	if !ok || (p.Type != Int && p.Type != Long && p.Type != Short) {
		panic("config: no number " + name)
	}
	text, ok := c.set[listenerPrefix+strings.ToLower(listener)+"."+name]
	if !ok {
		return 0, false
	}
	value, problem := p.read(text)
	if problem != nil {
		panic("config: " + problem.Text) // checked when the configuration was built
	}
	return int(value.(int64)), true
}

// ListenerNumber returns a number that a listener has of its own, else what the broker has: as in Kafka, a limit of
// the broker is one of each listener too. The listener's name is in upper case.
func (c *Config) ListenerNumber(listener, name string) int {
	if own, ok := c.ListenerInt(listener, name); ok {
		return own
	}
	return c.Int(name)
}
