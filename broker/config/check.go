package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// derive computes what several properties make together and checks them against each other, as
// KafkaConfig does when it is built. All properties have been parsed.
func (c *Config) derive() []Problem {
	d := &checker{c: c}
	c.version = mustVersion(c.Text("inter.broker.protocol.version"))
	d.ids()
	d.zookeeper()
	d.listeners()
	d.connections()
	d.logs()
	d.replication()
	d.coordinators()
	d.roles()
	return d.problems
}

// checker collects problems.
type checker struct {
	c        *Config
	problems []Problem
}

// require notes a problem unless ok holds.
func (d *checker) require(ok bool, property, text string) {
	if !ok {
		d.problems = append(d.problems, Problem{Property: property, Text: text})
	}
}

func (d *checker) ids() {
	c := d.c
	d.require(c.Int("node.id") == c.Int("broker.id"), "node.id", "You must set `node.id` to the same value as `broker.id`.")
	d.require(c.Text("zookeeper.connect") != "", "zookeeper.connect", "Missing required configuration `zookeeper.connect` which has no default value.")
	id := c.Int("broker.id")
	if c.Bool("broker.id.generation.enable") {
		d.require(id >= -1 && id <= c.Int("reserved.broker.max.id"), "broker.id",
			"requirement failed: broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id")
		return
	}
	d.require(id >= 0, "broker.id", "requirement failed: broker.id must be greater than or equal to 0")
}

// zookeeper refuses waits that are over before they begin. Kafka takes them, and then never gets a connection.
func (d *checker) zookeeper() {
	for _, name := range []string{"zookeeper.session.timeout.ms", "zookeeper.connection.timeout.ms"} {
		n := d.c.Int64(name)
		d.require(n >= 0, name, fmt.Sprintf("Invalid value %d for configuration %s: Value must be at least 0", n, name))
	}
}

var hostForm = regexp.MustCompile(`^[0-9a-zA-Z\-%._:]*$`)

func (d *checker) connections() {
	c := d.c
	const overrides, perIP = "max.connections.per.ip.overrides", "max.connections.per.ip"
	pairs, problem := parsePairs(overrides, c.Text(overrides))
	d.require(problem == "", overrides, problem)
	c.maxPerIP = make(map[string]int, len(pairs))
	var invalid []string
	for host, text := range pairs {
		limit, err := strconv.ParseInt(text, 10, 32)
		d.require(err == nil, overrides, fmt.Sprintf("For input string: %q", text))
		if !hostForm.MatchString(host) {
			invalid = append(invalid, host)
		}
		c.maxPerIP[host] = int(limit)
	}
	slices.Sort(invalid)
	d.require(len(invalid) == 0, overrides, overrides+" contains invalid addresses : "+strings.Join(invalid, ","))
	d.require(c.Int(perIP) != 0 || len(pairs) > 0, perIP,
		"requirement failed: "+perIP+" can be set to zero only if "+overrides+" property is set.")

	queued, request := c.Int64("queued.max.request.bytes"), c.Int64("socket.request.max.bytes")
	d.require(queued <= 0 || queued >= request, "queued.max.request.bytes",
		"requirement failed: queued.max.request.bytes must be larger or equal to socket.request.max.bytes")
	idle, delay := c.Int64("connections.max.idle.ms"), c.Int64("connection.failed.authentication.delay.ms")
	d.require(idle < 0 || delay < idle, "connections.max.idle.ms", fmt.Sprintf(
		"requirement failed: connection.failed.authentication.delay.ms=%d should always be less than connections.max.idle.ms=%d "+
			"to prevent failed authentication responses from timing out", delay, idle))
}

func (d *checker) logs() {
	c := d.c
	d.require(c.chain("log.roll.ms") >= 1, "log.roll.ms", "requirement failed: log.roll.ms must be greater than or equal to 1")
	d.require(c.chain("log.roll.jitter.ms") >= 0, "log.roll.jitter.ms",
		"requirement failed: log.roll.jitter.ms must be greater than or equal to 0")
	d.require(c.chain("log.retention.ms") != 0, "log.retention.ms",
		"requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1")
	d.require(len(c.LogDirs()) > 0, "log.dirs", "requirement failed: At least one log directory must be defined via log.dirs or log.dir.")
	d.require(c.cleanerMemory() > 1<<20, "log.cleaner.dedupe.buffer.size",
		"requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")
	format := c.messageFormatVersion()
	d.require(c.version.MessageFormat() >= format.MessageFormat(), "log.message.format.version", fmt.Sprintf(
		"requirement failed: log.message.format.version %s can only be used when inter.broker.protocol.version is set to version %s or higher",
		c.Text("log.message.format.version"), [...]string{"0.8.0", "0.10.0", "0.11.0"}[format.MessageFormat()]))
}

func (d *checker) replication() {
	c := d.c
	wait := c.Int64("replica.fetch.wait.max.ms")
	d.require(wait <= c.Int64("replica.socket.timeout.ms"), "replica.socket.timeout.ms",
		"requirement failed: replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts")
	d.require(wait <= c.Int64("replica.lag.time.max.ms"), "replica.fetch.wait.max.ms",
		"requirement failed: replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR")
	const selector = "replica.selector.class"
	class := c.Text(selector)
	d.require(class == RackAwareSelector || !c.Has(selector), selector,
		"Invalid value "+class+" for configuration "+selector+": Class "+class+" could not be found, only "+RackAwareSelector+" is there")
}

// RackAwareSelector is the one value of replica.selector.class.
const RackAwareSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

// coordinators checks what GroupCoordinatorConfig checks; the new group protocol needs KRaft.
func (d *checker) coordinators() {
	c := d.c
	const acks, factor = "offsets.commit.required.acks", "offsets.topic.replication.factor"
	d.require(c.Int(acks) >= -1 && c.Int(acks) <= c.Int(factor), acks,
		acks+" must be greater or equal to -1 and less or equal to "+factor)
	const codec = "offsets.topic.compression.codec"
	id := c.Int(codec)
	d.require(id >= 0 && id <= 4, codec, "Unknown compression type id: "+strconv.Itoa(id))
	for _, setting := range []string{
		"consumer.%sheartbeat.interval", "consumer.%ssession.timeout",
		"share.%sheartbeat.interval", "share.%ssession.timeout", "share.%srecord.lock.duration",
	} {
		name := func(bound string) string { return "group." + fmt.Sprintf(setting, bound) + ".ms" }
		least, most, value := c.Int(name("min.")), c.Int(name("max.")), c.Int(name(""))
		d.require(most >= least, name("max."), name("max.")+" must be greater than or equals to "+name("min."))
		d.require(value >= least, name(""), name("")+" must be greater than or equals to "+name("min."))
		d.require(value <= most, name(""), name("")+" must be less than or equals to "+name("max."))
	}
	const protocols = "group.coordinator.rebalance.protocols"
	list := c.List(protocols)
	d.require(slices.Contains(list, "classic"), protocols, "Disabling the 'classic' protocol is not supported.")
	d.require(!slices.Contains(list, "consumer"), protocols, "The new 'consumer' rebalance protocol is only supported in KRaft cluster.")
}

// roles checks the properties that belong to KRaft, which a broker on ZooKeeper does not have.
func (d *checker) roles() {
	c := d.c
	if len(c.List("process.roles")) > 0 {
		d.require(c.Int("node.id") >= 0, "node.id", "Missing configuration `node.id` which is required when `process.roles` is defined "+
			"(i.e. when running in KRaft mode).")
	}
	names := splitNonEmpty(c.Text("controller.listener.names"))
	d.require(len(names) == 0, "controller.listener.names",
		"requirement failed: controller.listener.names must be empty when not running in KRaft mode: "+formatJava(names))
}
