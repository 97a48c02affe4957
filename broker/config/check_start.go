package config

import (
	"fmt"
	"slices"
	"strings"
)

// checkStart checks what Kafka notices only when the broker's parts start, and what a change while the broker
// runs may bring about. All properties have been parsed.
func (c *Config) checkStart() []Problem {
	d := &checker{c: c}
	d.compaction()
	d.topicDefaults()
	const level, buffer = "metrics.recording.level", "socket.receive.buffer.bytes"
	levels := oneOfAnyCase{"INFO", "DEBUG", "TRACE"}
	if shown, problem, ok := levels.check(level, c.Text(level)); !ok {
		d.problems = append(d.problems, *table[level].invalid(shown, problem))
	}
	size := c.Int(buffer)
	d.require(size == -1 || size > 0, buffer, fmt.Sprintf("Invalid value %d for configuration %s: Value must be -1 or greater than 0", size, buffer))
	return d.problems
}

// offsetMapEntry is how much memory Kafka's cleaner takes for a key, in bytes: a hash and an offset.
const offsetMapEntry = 24

// compaction checks what LogManager and LogCleaner ask for when they start.
func (d *checker) compaction() {
	c := d.c
	const least, threads, load = "log.cleaner.min.compaction.lag.ms", "log.cleaner.threads", "log.cleaner.io.buffer.load.factor"
	lag, most := c.Int64(least), c.Int64("log.cleaner.max.compaction.lag.ms")
	d.require(lag <= most, least, conflict(lag, most))
	d.require(c.Int(threads) > 0, threads, fmt.Sprintf("Invalid value %d for configuration %s: Value must be at least 1", c.Int(threads), threads))
	if c.Bool("log.cleaner.enable") {
		keys := float64(c.cleanerMemory()/offsetMapEntry) * c.Float(load)
		d.require(keys > 1, load, fmt.Sprintf("Invalid value %s for configuration %s: "+
			"offset map is too small to fit in even a single message, so log cleaning will never make progress", formatDouble(c.Float(load)), load))
	}
}

// cleanerMemory returns how much memory one thread of the cleaner has for keys, in bytes.
func (c *Config) cleanerMemory() int64 {
	return c.Int64("log.cleaner.dedupe.buffer.size") / max(c.Int64("log.cleaner.threads"), 1)
}

// topicDefaults checks what the broker's properties make of the topics' (LogConfig), which is stricter.
func (d *checker) topicDefaults() {
	for i := range topicProperties {
		p := &topicProperties[i]
		if problem := p.validate(d.c.topicDefault(p)); problem != nil {
			problem.Property = p.server
			problem.Text = strings.Replace(problem.Text, p.Name, d.c.settingOf(p.server), 1)
			d.problems = append(d.problems, *problem)
		}
	}
}

// settingOf returns the name under which the setting of a property of the broker was given: its own or one that
// it falls back on.
func (c *Config) settingOf(name string) string {
	for _, synonym := range table[name].synonyms() {
		if c.IsSet(synonym) {
			return synonym
		}
	}
	return name
}

// Asked for in a file and missing here: providers of values that do not stand in the file itself.
const providers = "config.providers"

// refusedProviders refuses providers; an empty list asks for none.
func (c *Config) refusedProviders() []Problem {
	names := splitNonEmpty(trim(c.set[providers]))
	if len(names) == 0 {
		return nil
	}
	return []Problem{{Property: providers, Refused: true, Text: providers + "=" + strings.Join(names, ",") +
		" is not supported and must be removed: values are taken as they are written"}}
}

// jmxReporter is the one reporter of metrics that may be named: Kafka starts it in any case, and without a JVM it is nothing.
const jmxReporter = "org.apache.kafka.common.metrics.JmxReporter"

// asksForNothing reports whether a value of a property that is refused, although it is not the default, asks for
// nothing that is missing.
func (p *Property) asksForNothing(value any) bool {
	switch p.Name {
	case "metric.reporters":
		list, _ := value.([]string)
		return !slices.ContainsFunc(list, func(class string) bool { return class != jmxReporter })
	case "kafka.metrics.reporters":
		list, _ := value.([]string)
		return strings.Join(list, "") == ""
	}
	return false
}
