package topics

import (
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// The names of the options.
const (
	bootstrapServer   = "bootstrap-server"
	commandConfig     = "command-config"
	create            = "create"
	list              = "list"
	describe          = "describe"
	alter             = "alter"
	remove            = "delete"
	topicName         = "topic"
	topicID           = "topic-id"
	topicConfig       = "config"
	deleteConfig      = "delete-config"
	partitions        = "partitions"
	replicationFactor = "replication-factor"
	replicaAssignment = "replica-assignment"
	underReplicated   = "under-replicated-partitions"
	unavailable       = "unavailable-partitions"
	underMinISR       = "under-min-isr-partitions"
	atMinISR          = "at-min-isr-partitions"
	withOverrides     = "topics-with-overrides"
	ifExists          = "if-exists"
	ifNotExists       = "if-not-exists"
	excludeInternal   = "exclude-internal"
	partitionLimit    = "partition-size-limit-per-response"
)

// actions are the options of which exactly one must be given, in the order in which Kafka names them in
// messages about options that exclude each other.
var actions = []string{alter, create, describe, list, remove}

func options() *jopt.Parser {
	number := func(name, kind, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: jopt.Integer, Value: kind, Doc: doc}
	}
	return jopt.New(
		jopt.Value(bootstrapServer, "server to connect to", "REQUIRED: brokers to ask first, as host:port,host:port."),
		jopt.Value(commandConfig, "command config property file", "File with properties of the admin client."),
		jopt.Switch(create, "Create the topic."),
		jopt.Switch(list, "List the names of the topics."),
		jopt.Switch(describe, "Show partitions, replicas and settings of topics."),
		jopt.Switch(alter, "Raise the number of partitions. (Settings are changed by kafka-configs.)"),
		jopt.Switch(remove, "Delete topics."),
		jopt.Value(topicName, "topic", "The topic. Except with --create, a regular expression: escape what has a "+
			"meaning there, as in \"test\\.topic\"."),
		jopt.Value(topicID, "topic-id", "The id of the topic to describe."),
		jopt.Value(topicConfig, "name=value", "With --create: a setting of the topic, such as retention.ms=3600000; "+
			"may be repeated."),
		jopt.Value(deleteConfig, "name", "Not available with --bootstrap-server."),
		number(partitions, "# of partitions", "How many partitions the topic gets or shall have. More partitions "+
			"send new records of a key elsewhere than its old ones. Default with --create: the broker's."),
		number(replicationFactor, "replication factor", "How many replicas each partition gets. Default: the broker's."),
		jopt.Value(replicaAssignment, "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , "+
			"broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...",
			"The brokers of each partition, the preferred leader first."),
		jopt.Switch(underReplicated, "With --describe: only partitions that lack replicas in the ISR."),
		jopt.Switch(unavailable, "With --describe: only partitions without a live leader."),
		jopt.Switch(underMinISR, "With --describe: only partitions with fewer replicas in the ISR than min.insync.replicas."),
		jopt.Switch(atMinISR, "With --describe: only partitions with just min.insync.replicas replicas in the ISR."),
		jopt.Switch(withOverrides, "With --describe: only topics with settings of their own."),
		jopt.Switch(ifExists, "With --alter, --delete, --describe: a topic that is not there is no error."),
		jopt.Switch(ifNotExists, "With --create: a topic that is there already is no error."),
		jopt.Switch(excludeInternal, "With --list, --describe: leave the brokers' own topics out."),
		number(partitionLimit, "maximum number of partitions in one response.",
			"How many partitions one answer to --describe may hold, where brokers can limit it."),
	)
}

// check refuses combinations of options that make no sense, in Kafka's order and words.
func check(env *tool.Env, options *jopt.Set) error {
	given := 0
	for _, action := range actions {
		if options.Has(action) {
			given++
		}
	}
	if given != 1 {
		return tool.Usagef("Command must include exactly one action: --list, --describe, --create, --alter or --delete")
	}
	if err := checkRequired(env, options); err != nil {
		return err
	}
	return checkExcluded(options)
}

func checkRequired(env *tool.Env, options *jopt.Set) error {
	if !options.Has(bootstrapServer) {
		return throwable.New(throwable.IllegalArgument, "--bootstrap-server must be specified")
	}
	if options.Has(describe) && options.Has(ifExists) {
		if !options.Any(topicName, topicID) {
			return tool.Usagef("--topic or --topic-id is required to describe a topic")
		}
		if options.Has(topicName) && options.Has(topicID) {
			fmt.Fprintln(env.Stdout, "Only topic id will be used when both --topic and --topic-id are specified "+
				"and topicId is not Uuid.ZERO_UUID")
		}
	}
	if !options.Any(list, describe) {
		if err := tool.CheckRequired(options, topicName); err != nil {
			return err
		}
	}
	if !options.Has(alter) {
		return nil
	}
	if options.Has(topicConfig) {
		return tool.Usagef("Option combination \"[[bootstrap-server], [config]]\" can't be used with option " +
			"\"[alter]\" (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)")
	}
	return tool.CheckRequired(options, partitions)
}

// checkExcluded holds which options go with which.
func checkExcluded(options *jopt.Set) error {
	allBut := func(with ...string) []string {
		return slices.DeleteFunc(slices.Clone(actions), func(name string) bool { return slices.Contains(with, name) })
	}
	reports := []string{underReplicated, underMinISR, atMinISR, unavailable}
	rules := []struct {
		used     string
		excluded []string
	}{
		{topicConfig, allBut(alter, create)},
		{deleteConfig, append(allBut(alter), bootstrapServer)},
		{partitions, allBut(alter, create)},
		{replicationFactor, allBut(create)},
		{replicaAssignment, allBut(alter, create)},
	}
	if options.Has(create) {
		rules = append(rules, struct {
			used     string
			excluded []string
		}{replicaAssignment, []string{partitions, replicationFactor}})
	}
	for _, report := range reports {
		rules = append(rules, struct {
			used     string
			excluded []string
		}{report, append(allBut(describe), withOverrides)})
	}
	rules = append(rules, []struct {
		used     string
		excluded []string
	}{
		{withOverrides, append(allBut(describe), reports...)},
		{ifExists, allBut(alter, remove, describe)},
		{ifNotExists, allBut(create)},
		{excludeInternal, allBut(list, describe)},
	}...)
	for _, rule := range rules {
		if err := tool.CheckExcluded(options, rule.used, rule.excluded...); err != nil {
			return err
		}
	}
	return nil
}
