package consume

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

const defaultFormatter = "org.apache.kafka.tools.consumer.DefaultMessageFormatter"

func options() *jopt.Parser {
	value := func(name, kind, byDefault, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Value: kind, Default: byDefault, Doc: doc}
	}
	number := func(name string, kind jopt.Kind, argument, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: kind, Value: argument, Doc: doc}
	}
	return jopt.New(
		value("bootstrap-server", "server to connect to", "", "REQUIRED: brokers to ask first, as host:port,host:port."),
		value("topic", "topic", "", "The topic to read."),
		value("include", "Java regex (String)", "", "Regular expression: read all topics whose whole name it matches."),
		value("whitelist", "Java regex (String)", "", "DEPRECATED name of --include."),
		number("partition", jopt.Integer, "partition", "Read this partition only, from its end unless --offset or --from-beginning is given."),
		value("offset", "consume offset", "latest", "Where to begin in --partition: an offset, earliest or latest."),
		value("group", "consumer group id", "", "Share the topics with the group's other members, and commit what was read."),
		jopt.Switch("from-beginning", "Begin with the first record there is, unless the group has committed an offset."),
		number("max-messages", jopt.Integer, "num_messages", "End after so many records."),
		number("timeout-ms", jopt.Long, "timeout_ms", "End when no record came for so long."),
		value("isolation-level", "", "read_uncommitted", "read_committed leaves out records of transactions that were not committed."),
		jopt.Switch("skip-message-on-error", "Go on after a record that cannot be printed."),
		value("formatter", "class", defaultFormatter, "How to print records: the name of one of Kafka's formatters."),
		value("property", "prop", "", "A property of the formatter, as key=value; may be repeated. Of the default formatter:\n"+
			" print.timestamp=true|false\n print.key=true|false\n print.offset=true|false\n print.partition=true|false\n"+
			" print.headers=true|false\n print.value=true|false\n key.separator=<text>\n line.separator=<text>\n"+
			" headers.separator=<text>\n null.literal=<text>\n key.deserializer=<class>\n value.deserializer=<class>\n"+
			" headers.deserializer=<class>"),
		value("formatter-config", "config file", "", "File with properties of the formatter; --property wins over it."),
		value("key-deserializer", "deserializer for key", "", "As --property key.deserializer."),
		value("value-deserializer", "deserializer for values", "", "As --property value.deserializer."),
		value("consumer-property", "consumer_prop", "", "A property of the consumer, as key=value; may be repeated."),
		value("consumer.config", "config file", "", "File with properties of the consumer; --consumer-property wins over it."),
		jopt.Switch("enable-systest-events", "Print a line when the tool has ended."),
	)
}

// Positions that are not offsets.
const (
	offsetLatest   = -1
	offsetEarliest = -2
)

// noLimit is the number of messages that stands for all.
const noLimit = -1

// request is what the options ask for.
type request struct {
	topic, include string // one of them
	included       bool   // it is include
	one            bool   // only partition is read, and no group joined
	partition      int32
	offset         int64  // of partition; or offsetLatest, offsetEarliest
	group          string // "": none
	nameless       bool   // a group was asked for, by an empty name
	maxMessages    int64  // or noLimit
	timeout        time.Duration
	skipErrors     bool
	systemTest     bool
	formatter      formatter
	properties     clientconf.Properties
}

// parse checks the options in Kafka's order and words.
func parse(env *tool.Env, options *jopt.Set) (*request, error) {
	r := &request{skipErrors: options.Has("skip-message-on-error"), systemTest: options.Has("enable-systest-events")}
	if err := r.parseSource(options); err != nil {
		return nil, err
	}
	if err := tool.CheckRequired(options, "bootstrap-server"); err != nil {
		return nil, err
	}
	if err := r.parseProperties(env, options); err != nil {
		return nil, err
	}
	if err := r.parseLimits(options); err != nil {
		return nil, err
	}
	var err error
	if r.formatter, err = newFormatter(env, options); err != nil {
		return nil, err
	}
	return r, nil
}

// parseSource reads which topics and which partition are asked for.
func (r *request) parseSource(options *jopt.Set) error {
	var err error
	if r.topic, err = options.Value("topic"); err != nil {
		return err
	}
	include := "include"
	if !options.Has(include) {
		include = "whitelist"
	}
	if r.include, err = options.Value(include); err != nil {
		return err
	}
	if r.included = options.Any("include", "whitelist"); options.Has("topic") == r.included {
		hint := ""
		if options.Has("whitelist") {
			hint = "--whitelist is DEPRECATED use --include instead; ignored if --include specified."
		}
		return tool.Usagef("Exactly one of --include/--topic is required. %s", hint)
	}
	partition, given, err := options.Int32("partition")
	switch {
	case err != nil:
		return err
	case !given && options.Has("offset"):
		return tool.Usagef("The partition is required when offset is specified.")
	case !given:
		return nil
	case !options.Has("topic"):
		return tool.Usagef("The topic is required when partition is specified.")
	case options.Has("from-beginning") && options.Has("offset"):
		return tool.Usagef("Options from-beginning and offset cannot be specified together.")
	}
	r.one, r.partition = true, partition
	return nil
}

// parseProperties puts together the configuration of the consumer.
func (r *request) parseProperties(env *tool.Env, options *jopt.Set) error {
	fromFile, err := clientconf.LoadOption(options, "consumer.config")
	if err != nil {
		return err
	}
	extra := clientconf.ParsePairs(options.Values("consumer-property"))
	if err := r.parseGroup(options, fromFile, extra); err != nil {
		return err
	}
	p := fromFile
	p.Merge(extra)
	switch reset, set := p["auto.offset.reset"]; {
	case set && options.Has("from-beginning") && reset != "earliest":
		fmt.Fprintf(env.Stderr, "Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option\n", reset)
		return tool.Exit(1)
	case set:
	case options.Has("from-beginning"):
		p["auto.offset.reset"] = "earliest"
	default:
		p["auto.offset.reset"] = "latest"
	}
	if p["bootstrap.servers"], err = options.Value("bootstrap-server"); err != nil {
		return err
	}
	if _, set := p["client.id"]; !set {
		p["client.id"] = "console-consumer"
	}
	p["group.id"] = r.group
	if r.group == "" && !r.nameless {
		p["group.id"] = "console-consumer-" + strconv.Itoa(rand.IntN(100_000)) // seen in log lines only
	}
	r.properties = p
	return p.MergeOption("isolation.level", options, "isolation-level")
}

// parseGroup reads the group's id, which may be given in several places if it is the same everywhere.
func (r *request) parseGroup(options *jopt.Set, sources ...clientconf.Properties) error {
	ids := map[string]bool{}
	group, err := options.Value("group")
	if err != nil {
		return err
	}
	if options.Has("group") {
		ids[group] = true
	}
	for _, source := range sources {
		if id, set := source["group.id"]; set {
			ids[id] = true
		}
	}
	if len(ids) > 1 {
		return tool.Usagef("The group ids provided in different places (directly using '--group', via "+
			"'--consumer-property', or via '--consumer.config') do not match. Detected group ids: '%s'",
			strings.Join(slices.Sorted(maps.Keys(ids)), "', '"))
	}
	if len(ids) > 0 && r.one {
		return tool.Usagef("Options group and partition cannot be specified together.")
	}
	for id := range ids {
		r.group, r.nameless = id, id == ""
	}
	return nil
}

// trimClass takes the word off that Kafka's defaults have before the name of a class.
func trimClass(class string) string { return strings.TrimPrefix(class, "class ") }
