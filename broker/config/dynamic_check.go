package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ValidateDynamic checks set as the whole dynamic configuration of this broker or, unless perBroker, of all,
// in place of what c has (DynamicBrokerConfig.validate). The error is a *Problem with Kafka's text.
func (c *Config) ValidateDynamic(set map[string]string, perBroker bool) error {
	if problem := CheckDynamic(set, perBroker); problem != nil {
		return problem
	}
	d := Dynamic{Default: c.dynamic.Default, Broker: set}
	if !perBroker {
		d = Dynamic{Default: set, Broker: c.dynamic.Broker}
	}
	next, err := c.WithDynamic(d)
	if err != nil {
		return &err.(*Error).Problems[0]
	}
	if problem := c.CheckChange(next); problem != nil {
		return problem
	}
	return nil
}

// CheckDynamic checks set by itself, as the whole dynamic configuration of a broker or, unless perBroker, of all
// (DynamicBrokerConfig.validateConfigs). Nil: nothing is wrong.
func CheckDynamic(set map[string]string, perBroker bool) *Problem {
	if names := readOnlyNames(set); len(names) > 0 {
		return &Problem{Property: names[0], Text: "Cannot update these configs dynamically: " + scalaSet(names)}
	}
	if names := bareKeyStores(set); len(names) > 0 {
		return &Problem{Property: names[0], Text: "These security configs can be dynamically updated only per-listener " +
			"using the listener prefix: HashSet(" + strings.Join(names, ", ") + ")"}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if problem := checkDynamicValue(name, set[name]); problem != nil {
			return problem
		}
	}
	if names := perBrokerNames(set); !perBroker && len(names) > 0 {
		return &Problem{Property: names[0], Text: "Cannot update these configs at default cluster level, broker id must be specified: " + scalaSet(names)}
	}
	return nil
}

// scalaSet prints names as Kafka's messages do.
func scalaSet(names []string) string {
	kind := "Set"
	if len(names) > 4 {
		kind = "HashSet"
	}
	return kind + "(" + strings.Join(names, ", ") + ")"
}

// CheckChange applies the rules about a change while the broker runs: those of Kafka's reconfigurables. Nil: it
// may be made.
func (c *Config) CheckChange(next *Config) *Problem {
	changed := c.changed(next)
	if len(changed) == 0 {
		return nil
	}
	for _, check := range []func(*Config, map[string]bool) (property, text string){
		c.checkListenerPools, c.checkThreads, c.checkLocalRetention, c.checkListenerChange, c.checkCleaner,
	} {
		if property, text := check(next, changed); text != "" {
			return &Problem{Property: property, Text: "Invalid value org.apache.kafka.common.config.ConfigException: " + text +
				" for configuration Invalid dynamic configuration"}
		}
	}
	return nil
}

// checkListenerPools checks what each listener that stays has of its own or from the broker.
func (c *Config) checkListenerPools(next *Config, _ map[string]bool) (property, text string) {
	for _, l := range c.listeners {
		same := true
		values := map[string]int{}
		for _, name := range clusterListenerProperties {
			values[name] = next.ListenerNumber(l.Listener, name)
			same = same && values[name] == c.ListenerNumber(l.Listener, name)
		}
		if same {
			continue
		}
		const threads = "num.network.threads"
		if text := checkThreadCount(threads, c.ListenerNumber(l.Listener, threads), values[threads]); text != "" {
			return threads, text
		}
		for _, name := range clusterListenerProperties[:2] {
			if values[name] <= 0 {
				return name, fmt.Sprintf("Invalid %s %d", name, values[name])
			}
		}
	}
	return "", ""
}

// threadPools are the properties that may at most double, and at most be halved, at once.
var threadPools = []string{"num.io.threads", "num.replica.fetchers", "num.recovery.threads.per.data.dir", "background.threads"}

func (c *Config) checkThreads(next *Config, changed map[string]bool) (property, text string) {
	if !slices.ContainsFunc(threadPools, func(name string) bool { return changed[name] }) {
		return "", ""
	}
	for _, name := range threadPools {
		if text := checkThreadCount(name, c.Int(name), next.Int(name)); text != "" {
			return name, text
		}
	}
	return "", ""
}

func checkThreadCount(name string, before, after int) string {
	text := fmt.Sprintf("Dynamic thread count update validation failed for %s=%d, value should ", name, after)
	switch {
	case after == before:
		return ""
	case after <= 0:
		return text + "be at least 1"
	case after < before/2:
		return text + fmt.Sprintf("be at least half the current value %d", before)
	case after > before*2:
		return text + fmt.Sprintf("not be greater than double the current value %d", before)
	}
	return ""
}

// dynamicCleanerProperties are the properties that the cleaner reads while it runs (LogCleaner.ReconfigurableConfigs).
var dynamicCleanerProperties = []string{
	"log.cleaner.threads", "log.cleaner.dedupe.buffer.size", "log.cleaner.io.buffer.load.factor", "log.cleaner.io.buffer.size",
	"message.max.bytes", "log.cleaner.io.max.bytes.per.second", "log.cleaner.backoff.ms",
}

// checkCleaner keeps the cleaner from losing or gaining too many threads at once (LogCleaner.validateReconfiguration).
func (c *Config) checkCleaner(next *Config, changed map[string]bool) (property, text string) {
	const name = "log.cleaner.threads"
	if !c.Bool("log.cleaner.enable") || !slices.ContainsFunc(dynamicCleanerProperties, func(name string) bool { return changed[name] }) {
		return "", ""
	}
	switch before, after := c.Int(name), next.Int(name); {
	case after < 1:
		return name, "Log cleaner threads should be at least 1"
	case after < before/2:
		return name, fmt.Sprintf("Log cleaner threads cannot be reduced to less than half the current value %d", before)
	case after > before*2:
		return name, fmt.Sprintf("Log cleaner threads cannot be increased to more than double the current value %d", before)
	}
	return "", ""
}

// checkLocalRetention keeps what of tiered storage stays here within what is kept at all (DynamicLogConfig).
func (c *Config) checkLocalRetention(next *Config, changed map[string]bool) (property, text string) {
	if !slices.ContainsFunc(topicProperties, func(p topicProperty) bool { return changed[p.server] }) {
		return "", ""
	}
	for _, r := range []struct {
		local, total string
		most         int64
	}{
		{"log.local.retention.ms", "log.retention.ms", max(next.chain("log.retention.ms"), -1)},
		{"log.local.retention.bytes", "log.retention.bytes", next.Int64("log.retention.bytes")},
	} {
		local := next.Int64(r.local)
		invalid := fmt.Sprintf("Invalid value %d for configuration %s: ", local, r.local)
		switch {
		case r.most < 0 || local == -2:
		case local == -1:
			return r.local, invalid + fmt.Sprintf("Value must not be -1 as %s value is set as %d.", r.total, r.most)
		case local > r.most:
			return r.local, invalid + fmt.Sprintf("Value must not be more than %s property value: %d", r.total, r.most)
		}
	}
	return "", ""
}

// checkListenerChange refuses to make another listener of one that stays open (DynamicListenerConfig).
func (c *Config) checkListenerChange(next *Config, changed map[string]bool) (property, text string) {
	relevant := false
	for name := range changed {
		p, ok := table[name]
		relevant = relevant || ok && (p.Scope == PerBroker || slices.Contains(clusterListenerProperties, name))
	}
	if !relevant {
		return "", ""
	}
	for _, l := range next.listeners {
		if !slices.ContainsFunc(c.listeners, func(e Endpoint) bool { return e.Listener == l.Listener }) {
			continue
		}
		if !maps.Equal(c.fixedFor(l.Listener), next.fixedFor(l.Listener)) {
			return "listeners", "Configs cannot be updated dynamically for existing listener ListenerName(" + l.Listener + "), " +
				"restart broker or create a new listener for update"
		}
		if c.protocols[l.Listener] != next.protocols[l.Listener] {
			return "listener.security.protocol.map", "Security protocol cannot be updated for existing listener ListenerName(" + l.Listener + ")"
		}
	}
	return "", ""
}

// fixedFor returns what a listener has of its own and keeps while it is open.
func (c *Config) fixedFor(listener string) map[string]string {
	own := make(map[string]string)
	for name, text := range c.set {
		of, base, ok := splitListener(name)
		if ok && of == listener && !slices.Contains(keyStores, base) && !slices.Contains(clusterListenerProperties, base) {
			own[base] = text
		}
	}
	return own
}
