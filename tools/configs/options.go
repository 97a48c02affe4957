package configs

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// The names of the options.
const (
	zooKeeper           = "zookeeper"
	zooKeeperTLS        = "zk-tls-config-file"
	bootstrapServer     = "bootstrap-server"
	bootstrapController = "bootstrap-controller"
	commandConfig       = "command-config"
	alter               = "alter"
	describe            = "describe"
	all                 = "all"
	entityType          = "entity-type"
	entityName          = "entity-name"
	entityDefault       = "entity-default"
	addConfig           = "add-config"
	addConfigFile       = "add-config-file"
	deleteConfig        = "delete-config"
	force               = "force"
)

// The types of entities.
const (
	topics        = "topics"
	clients       = "clients"
	users         = "users"
	brokers       = "brokers"
	ips           = "ips"
	brokerLoggers = "broker-loggers"
	clientMetrics = "client-metrics"
)

// named are the options that name an entity, and defaulted those that stand for the default of all, each
// with the type of its entities.
var (
	named = [][2]string{
		{"topic", topics}, {"client", clients}, {"user", users}, {"broker", brokers}, {"broker-logger", brokerLoggers}, {"ip", ips},
	}
	defaulted = [][2]string{
		{"client-defaults", clients}, {"user-defaults", users}, {"broker-defaults", brokers}, {"ip-defaults", ips},
	}
)

func options() *jopt.Parser {
	return jopt.New(
		jopt.Value(bootstrapServer, "server to connect to", "Brokers to ask first, as host:port,host:port."),
		jopt.Value(bootstrapController, "controller to connect to", "Controllers to ask first, in a cluster with KRaft."),
		jopt.Value(zooKeeper, "urls", "DEPRECATED. ZooKeeper's servers and chroot, as host:port,host:port/chroot: for the SCRAM "+
			"credentials of users, and the configuration of brokers that do not run."),
		jopt.Value(zooKeeperTLS, "ZooKeeper TLS configuration", "File with the zookeeper.ssl properties of the connection to ZooKeeper."),
		jopt.Value(commandConfig, "command config property file", "File with properties of the admin client."),
		jopt.Switch(alter, "Change the configuration of an entity."),
		jopt.Switch(describe, "Show the configuration of entities."),
		jopt.Switch(all, "With --describe of topics, brokers and loggers: all properties, not only those that were set dynamically."),
		jopt.Value(entityType, "", "Type of the entity: topics, clients, users, brokers, broker-loggers, ips or client-metrics. "+
			"users and clients may be given together."),
		jopt.Value(entityName, "", "Name of the entity: of a topic, a client id, a user's principal, a broker's id, an address."),
		jopt.Switch(entityDefault, "The default of all clients, users, brokers or ips instead of one by name."),
		jopt.Value(addConfig, "", "What to set, as k1=v1,k2=[v1,v2],k3=v3: brackets keep the commas of a value."),
		jopt.Value(addConfigFile, "", "Properties file with what to set."),
		jopt.Value(deleteConfig, "", "What to take away, as k1,k2."),
		jopt.Switch(force, "Accepted; there is nothing to confirm."),
		jopt.Value("topic", "", "The topic."),
		jopt.Value("client", "", "The client id."),
		jopt.Value("user", "", "The user's principal."),
		jopt.Value("broker", "", "The broker's id."),
		jopt.Value("broker-logger", "", "The id of the broker whose loggers are meant."),
		jopt.Value("ip", "", "The IP address."),
		jopt.Switch("client-defaults", "The default of all clients."),
		jopt.Switch("user-defaults", "The default of all users."),
		jopt.Switch("broker-defaults", "The default of all brokers."),
		jopt.Switch("ip-defaults", "The default of all IP addresses."),
	)
}

// check refuses combinations of options that make no sense, in Kafka's order and words, and fills in types
// and names.
func (c *command) check() error {
	if c.options.Has(alter) == c.options.Has(describe) {
		return tool.Usagef("Command must include exactly one action: --describe, --alter")
	}
	if err := tool.CheckExcluded(c.options, describe, alter, addConfig, deleteConfig); err != nil {
		return err
	}
	if err := c.entities(); err != nil {
		return err
	}
	for _, check := range []func() error{c.checkTypes, c.checkConnection, c.checkNames, c.checkChange} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// entities reads types and names of the entities.
func (c *command) entities() error {
	c.types = slices.Clone(c.options.Values(entityType))
	for _, option := range slices.Concat(named, defaulted) {
		if c.options.Has(option[0]) {
			c.types = append(c.types, option[1])
		}
	}
	given := c.options.Values(entityName)
	for _, option := range c.options.Order() {
		switch option {
		case entityName:
			c.names, given = append(c.names, given[0]), given[1:]
		case entityDefault:
			c.names = append(c.names, "")
		}
	}
	for _, option := range named {
		if c.options.Has(option[0]) {
			name, err := c.options.Value(option[0])
			if err != nil {
				return err
			}
			c.names = append(c.names, name)
		}
	}
	for _, option := range defaulted {
		if c.options.Has(option[0]) {
			c.names = append(c.names, "")
		}
	}
	return nil
}

func (c *command) checkTypes() error {
	var once, again []string
	for _, kind := range c.types {
		if slices.Contains(once, kind) {
			again = append(again, kind)
		} else {
			once = append(once, kind)
		}
	}
	if again != nil {
		return illegal("Duplicate entity type(s) specified: %s", strings.Join(again, ","))
	}
	allowed, connection := []string{users, brokers}, "--zookeeper"
	if c.options.Any(bootstrapServer, bootstrapController) {
		allowed = []string{topics, clients, users, brokers, ips, brokerLoggers, clientMetrics}
		connection = "--bootstrap-server or --bootstrap-controller"
	}
	for _, kind := range c.types {
		if !slices.Contains(allowed, kind) {
			return illegal("Invalid entity type %s, the entity type must be one of %s with a %s argument", kind, strings.Join(allowed, ", "), connection)
		}
	}
	switch {
	case len(c.types) == 0:
		return illegal("At least one entity type must be specified")
	case len(c.types) > 1 && slices.ContainsFunc(c.types, func(kind string) bool { return kind != users && kind != clients }):
		return illegal("Only 'users' and 'clients' entity types may be specified together")
	}
	specific := func(option [2]string) bool { return c.options.Has(option[0]) }
	if c.options.Any(entityName, entityType, entityDefault) && slices.ContainsFunc(slices.Concat(named, defaulted), specific) {
		return illegal("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
	}
	return nil
}

func (c *command) checkConnection() error {
	connections := 0
	for _, option := range []string{bootstrapServer, bootstrapController, zooKeeper} {
		if c.options.Has(option) {
			connections++
		}
	}
	switch {
	case connections == 0:
		return illegal("One of the required --bootstrap-server, --boostrap-controller, or --zookeeper arguments must be specified")
	case connections > 1:
		return illegal("Only one of --bootstrap-server, --boostrap-controller, and --zookeeper can be specified")
	case c.options.Has(all) && c.options.Has(zooKeeper):
		return illegal("--bootstrap-server must be specified for --all")
	case c.options.Has(zooKeeperTLS) && !c.options.Has(zooKeeper):
		return illegal("Only the --zookeeper option can be used with the --zk-tls-config-file option.")
	}
	return nil
}

// hasName reports whether an entity is named, hasDefault whether one is the default of all.
func (c *command) hasName() bool {
	return slices.ContainsFunc(c.names, func(name string) bool { return name != "" })
}

func (c *command) hasDefault() bool { return slices.Contains(c.names, "") }

func (c *command) checkNames() error {
	if !c.hasName() {
		return nil
	}
	rules := []struct {
		types, options []string
		valid          func(name string) bool
		wanted         string
	}{
		{[]string{brokers, brokerLoggers}, []string{entityName, "broker", "broker-logger"}, isInteger, "integer broker id"},
		{[]string{ips}, []string{entityName, "ip"}, isAddress, "IP or resolvable host"},
	}
	for _, rule := range rules {
		if !slices.ContainsFunc(rule.types, func(kind string) bool { return slices.Contains(c.types, kind) }) {
			continue
		}
		for _, option := range rule.options {
			if !c.options.Has(option) {
				continue
			}
			name, err := c.options.Value(option)
			if err != nil {
				return err
			}
			if !rule.valid(name) {
				return illegal("The entity name for %s must be a valid %s, but it is: %s", c.types[0], rule.wanted, name)
			}
		}
	}
	return nil
}

func isInteger(text string) bool {
	_, err := strconv.ParseInt(text, 10, 32)
	return err == nil
}

func isAddress(name string) bool {
	if name == "" {
		return true
	}
	addresses, err := net.LookupHost(name)
	return err == nil && len(addresses) > 0
}

// checkChange holds what --alter needs, and that the loggers of all brokers cannot be described at once.
func (c *command) checkChange() error {
	kinds := strings.Join(c.types, ",")
	if c.options.Has(describe) && slices.Contains(c.types, brokerLoggers) && !c.hasName() {
		return illegal("an entity name must be specified with --describe of %s", kinds)
	}
	if !c.options.Has(alter) {
		return nil
	}
	withDefault := slices.ContainsFunc(c.types, func(kind string) bool { return slices.Contains([]string{users, clients, brokers, ips}, kind) })
	switch {
	case withDefault && !c.hasName() && !c.hasDefault():
		return illegal("an entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
	case !withDefault && !c.hasName():
		return illegal("an entity name must be specified with --alter of %s", kinds)
	case c.options.Has(addConfig) && c.options.Has(addConfigFile):
		return illegal("Only one of --add-config or --add-config-file must be specified")
	case !c.options.Any(addConfig, addConfigFile, deleteConfig):
		return illegal("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	return nil
}
