package config

import (
	"fmt"
	"math"
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
	d.require(!c.IsSet("config.providers"), "config.providers", "config.providers is not supported: values are taken as they are written; remove the line")
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

// listeners parses the four properties about listeners and checks that they agree.
func (d *checker) listeners() {
	c := d.c
	var problem string
	c.protocols, problem = parseProtocolMap(c.Text("listener.security.protocol.map"))
	d.require(problem == "", "listener.security.protocol.map", problem)
	if problem != "" || !d.interBroker() {
		return
	}
	list := c.Text("listeners")
	if c.listeners, problem = parseEndpoints(list, c.protocols); problem == "" {
		problem = checkPorts(list, c.listeners)
	}
	d.require(problem == "", "listeners", problem)
	if problem != "" {
		return
	}
	c.advertised = c.listeners
	if c.Has("advertised.listeners") {
		c.advertised, problem = parseEndpoints(c.Text("advertised.listeners"), c.protocols)
		if d.require(problem == "", "advertised.listeners", problem); problem != "" {
			return
		}
	}
	d.advertised()
	d.protocols()
}

// interBroker finds the listener for brokers, and reports whether that worked.
func (d *checker) interBroker() bool {
	c := d.c
	before := len(d.problems)
	const byName, byProtocol = "inter.broker.listener.name", "security.inter.broker.protocol"
	if !c.Has(byName) {
		c.interBroker = c.Text(byProtocol)
		return true
	}
	d.require(!c.IsSet(byProtocol), byName, "Only one of "+byName+" and "+byProtocol+" should be set.")
	c.interBroker = strings.ToUpper(c.Text(byName))
	_, mapped := c.protocols[c.interBroker]
	d.require(mapped, byName, "Listener with name "+c.interBroker+" defined in "+byName+" not found in listener.security.protocol.map.")
	return len(d.problems) == before
}

func (d *checker) advertised() {
	c := d.c
	names, listening := listenerNames(c.advertised), listenerNames(c.listeners)
	if d.require(len(names) > 0, "advertised.listeners", "requirement failed: There must be at least one broker advertised listener."); len(names) == 0 {
		return // which makes the rest true or meaningless
	}
	d.require(slices.Contains(names, c.interBroker), "inter.broker.listener.name",
		"requirement failed: inter.broker.listener.name must be a listener name defined in advertised.listeners. "+
			"The valid options based on currently configured listeners are "+strings.Join(names, ","))
	subset := !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(listening, name) })
	d.require(subset, "advertised.listeners",
		"requirement failed: advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. "+
			"Found "+strings.Join(names, ",")+". The valid options based on the current configuration are "+strings.Join(listening, ","))
	anyAddress := slices.ContainsFunc(c.advertised, func(e Endpoint) bool { return e.Host == "0.0.0.0" })
	d.require(!anyAddress, "advertised.listeners",
		"requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.")
}

// protocols refuses what the listeners ask for and Gregor does not speak.
func (d *checker) protocols() {
	for _, e := range d.c.listeners {
		d.require(e.Port >= 0 && e.Port <= math.MaxUint16, "listeners",
			fmt.Sprintf("listeners: port %d of listener %s must be between 0 and %d", e.Port, e.Listener, math.MaxUint16))
		if e.Protocol != Plaintext {
			d.problems = append(d.problems, Problem{Property: "listeners", Refused: true,
				Text: fmt.Sprintf("listeners: listener %s has security protocol %s, which is not supported; use PLAINTEXT", e.Listener, e.Protocol)})
		}
	}
}

func listenerNames(endpoints []Endpoint) []string {
	var names []string
	for _, e := range endpoints {
		names = append(names, e.Listener)
	}
	return names
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
	perThread := c.Int64("log.cleaner.dedupe.buffer.size")
	if threads := c.Int64("log.cleaner.threads"); threads > 0 {
		perThread /= threads
	}
	d.require(perThread > 1<<20, "log.cleaner.dedupe.buffer.size",
		"requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")
	format := c.messageFormatVersion()
	d.require(c.version.MessageFormat() >= format.MessageFormat(), "log.message.format.version", fmt.Sprintf(
		"requirement failed: log.message.format.version %s can only be used when inter.broker.protocol.version is set to version %s or higher",
		c.Text("log.message.format.version"), [...]string{"0.8.0", "0.10.0", "0.11.0"}[format.MessageFormat()]))
}

// checkCompaction checks what Kafka's LogManager checks when a broker starts, and what may come about later.
func (c *Config) checkCompaction() []Problem {
	const least = "log.cleaner.min.compaction.lag.ms"
	if lag, most := c.Int64(least), c.Int64("log.cleaner.max.compaction.lag.ms"); lag > most {
		return []Problem{{Property: least, Text: conflict(lag, most)}}
	}
	return nil
}

func (d *checker) replication() {
	c := d.c
	wait := c.Int64("replica.fetch.wait.max.ms")
	d.require(wait <= c.Int64("replica.socket.timeout.ms"), "replica.socket.timeout.ms",
		"requirement failed: replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts")
	d.require(wait <= c.Int64("replica.lag.time.max.ms"), "replica.fetch.wait.max.ms",
		"requirement failed: replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR")
	switch class := c.Text("replica.selector.class"); class {
	case "", RackAwareSelector, LeaderSelector:
	default:
		d.require(false, "replica.selector.class", "Class "+class+" cannot be found: there are "+RackAwareSelector+" and "+LeaderSelector)
	}
}

// Values of replica.selector.class. The second one is KIP-392's name for the default.
const (
	RackAwareSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
	LeaderSelector    = "org.apache.kafka.common.replica.LeaderSelector"
)

// coordinators checks what GroupCoordinatorConfig checks; the new group protocol needs KRaft.
func (d *checker) coordinators() {
	c := d.c
	const acks, factor = "offsets.commit.required.acks", "offsets.topic.replication.factor"
	d.require(c.Int(acks) >= -1 && c.Int(acks) <= c.Int(factor), acks,
		acks+" must be greater or equal to -1 and less or equal to "+factor)
	const codec = "offsets.topic.compression.codec"
	id := c.Int(codec)
	d.require(id >= 0 && id <= 4, codec, "Unknown compression type id: "+strconv.Itoa(id))
	for _, group := range []string{"consumer", "share"} {
		for _, kind := range []string{"heartbeat.interval", "session.timeout"} {
			name := func(bound string) string { return "group." + group + "." + bound + kind + ".ms" }
			least, most, value := c.Int(name("min.")), c.Int(name("max.")), c.Int(name(""))
			d.require(most >= least, name("max."), name("max.")+" must be greater than or equals to "+name("min."))
			d.require(value >= least, name(""), name("")+" must be greater than or equals to "+name("min."))
			d.require(value <= most, name(""), name("")+" must be less than or equals to "+name("max."))
		}
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
