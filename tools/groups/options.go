package groups

import "github.com/gregor-mq/gregor/tools/internal/jopt"

// The names of the options.
const (
	bootstrapServer = "bootstrap-server"
	commandConfig   = "command-config"
	timeout         = "timeout"
	list            = "list"
	describe        = "describe"
	remove          = "delete"
	reset           = "reset-offsets"
	removeOffsets   = "delete-offsets"
	groupName       = "group"
	allGroups       = "all-groups"
	topicName       = "topic"
	allTopics       = "all-topics"
	members         = "members"
	offsets         = "offsets"
	state           = "state"
	groupType       = "type"
	verbose         = "verbose"
	toEarliest      = "to-earliest"
	toLatest        = "to-latest"
	toCurrent       = "to-current"
	toOffset        = "to-offset"
	toDatetime      = "to-datetime"
	byDuration      = "by-duration"
	shiftBy         = "shift-by"
	fromFile        = "from-file"
	dryRun          = "dry-run"
	execute         = "execute"
	export          = "export"
)

func options() *jopt.Parser {
	return jopt.New(append(actionOptions(), resetOptions()...)...)
}

func flag(name, doc string, with ...string) jopt.Option {
	return jopt.Option{Name: name, Doc: doc, AvailableWith: with}
}

func value(name, kind, doc string) jopt.Option {
	return jopt.Option{Name: name, Arity: jopt.Required, Value: kind, Doc: doc}
}

func actionOptions() []jopt.Option {
	patience := value(timeout, "timeout (ms)", "How long each request to the cluster may take, with all attempts.")
	patience.Kind, patience.Default = jopt.Long, "5000"
	return []jopt.Option{
		value(bootstrapServer, "server to connect to", "REQUIRED: brokers to ask first, as host:port,host:port."),
		value(commandConfig, "command config property file", "File with properties of the admin client."),
		patience,
		flag(list, "List the groups, with --state or --type also those."),
		flag(describe, "Show where groups are: offsets with their lag unless --members or --state is given."),
		flag(remove, "Delete groups with their offsets. They must have no members."),
		flag(reset, "Set the offsets of groups without members. Which offsets: --to-earliest, --to-latest, --to-current, "+
			"--to-offset, --shift-by, --to-datetime, --by-duration or --from-file. Of which partitions: --topic or "+
			"--all-topics; --from-file names them itself.\nNothing changes without --execute."),
		flag(removeOffsets, "Delete the offsets of --topic in one group that does not subscribe to it."),
		value(groupName, "consumer group", "The group. May be repeated, except with --delete-offsets."),
		flag(allGroups, "All groups."),
		value(topicName, "topic", "With --reset-offsets, --delete-offsets: the topic, or partitions of it as in orders:0,1,2. "+
			"May be repeated."),
		flag(allTopics, "With --reset-offsets: all partitions for which the group has offsets."),
		flag(members, "With --describe: the members, with --verbose also their partitions.", describe),
		flag(offsets, "With --describe: the offsets, which is the default.", describe),
		{Name: state, Arity: jopt.Optional, AvailableWith: []string{describe, list}, Doc: "With --describe: the state and the " +
			"coordinator. With --list: the state; only groups in certain ones if they are named, as in stable,empty."},
		{Name: groupType, Arity: jopt.Optional, AvailableWith: []string{list}, Doc: "With --list: the type; only groups of " +
			"certain ones if they are named: classic,consumer."},
		flag(verbose, "With --describe: more, where there is more.", describe),
	}
}

func resetOptions() []jopt.Option {
	number := func(name, kind, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: jopt.Long, Value: kind, Doc: doc}
	}
	return []jopt.Option{
		flag(toEarliest, "To the first offset there is."),
		flag(toLatest, "To the end."),
		flag(toCurrent, "To where the group is; to the end of partitions for which it has no offset."),
		number(toOffset, "offset", "To this offset, or the nearest there is."),
		number(shiftBy, "number-of-offsets", "So many further than the group is; back if negative."),
		value(toDatetime, "datetime", "To the first record of this time or later: YYYY-MM-DDTHH:mm:SS.sss, in UTC unless a zone follows."),
		value(byDuration, "duration", "To the first record since so long ago: PnDTnHnMnS, as in PT1H30M."),
		value(fromFile, "path to CSV file", "To the offsets in a file, as --export prints them: topic,partition,offset, or "+
			"group,topic,partition,offset."),
		flag(dryRun, "Only show what would be done, which is the default."),
		flag(execute, "Do it."),
		flag(export, "Print the offsets as CSV."),
	}
}
