// Package offsets is gregorctl get-offsets, Kafka's kafka-get-offsets: it prints the offsets of
// partitions at their start, at their end or at a time.
package offsets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/filter"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

const about = "An interactive shell for getting topic-partition offsets."

// Command returns the tool.
func Command() *tool.Command {
	bootstrap := jopt.Value("bootstrap-server", "HOST1:PORT1,...,HOST3:PORT3", "REQUIRED: brokers to ask first.")
	bootstrap.RequiredUnless = "broker-list"
	when := jopt.Value("time", "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / "+
		"-5 or latest-tiered", "Which offset: that of the first record with this timestamp (milliseconds) or a later "+
		"one, or one of the names. Partitions that have none are left out.")
	when.Default = "latest"
	return &tool.Command{
		Name:   "get-offsets",
		Script: "kafka-get-offsets",
		Short:  "Print the first, last or timed offsets of partitions",
		About:  about,
		Empty:  about,
		Examples: "NAME --bootstrap-server localhost:9092 --topic orders\n" +
			"NAME --bootstrap-server localhost:9092 --topic-partitions orders:0-3,logs --time earliest",
		Options: jopt.New(
			bootstrap,
			jopt.Value("broker-list", "HOST1:PORT1,...,HOST3:PORT3", "DEPRECATED name of --bootstrap-server."),
			jopt.Value("topic-partitions", "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
				"Topics (regular expressions) with partitions: a number, or a range without its upper end."),
			jopt.Value("topic", "topic", "The topic, a regular expression. All topics if not given."),
			jopt.Value("partitions", "partition ids", "Partitions of --topic, separated by commas. All if not given."),
			when,
			jopt.Value("command-config", "config file", "File with properties of the admin client."),
			jopt.Switch("exclude-internal-topics", "Leave the brokers' own topics out."),
		),
		Run:  run,
		Fail: fail,
	}
}

func fail(env *tool.Env, _ *tool.Command, err error) int {
	fmt.Fprintln(env.Stderr, "Error occurred: "+throwable.From(err).Message)
	_, parsing := errors.AsType[*jopt.Error](err)
	terse := throwable.From(err).Class == throwable.Terse || parsing && !isLate(err)
	if env.Kafka && !terse {
		fmt.Fprintln(env.Stderr, throwable.Trace(err))
	}
	return 1
}

// isLate reports whether err came up when the value of an option was asked for.
func isLate(err error) bool {
	parsing, ok := errors.AsType[*jopt.Error](err)
	return ok && parsing.Exception == "MultipleArgumentsForOptionException"
}

// request is what the options ask for.
type request struct {
	servers   string
	filter    *filter.Partitions
	timestamp int64
	internal  bool
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	req, err := parse(options)
	if err != nil {
		return err
	}
	admin, err := client.NewAdmin(env, req.servers, options, "command-config", "GetOffsetShell")
	if err != nil {
		return err
	}
	defer admin.Close()
	partitions, err := selectPartitions(ctx, admin, req)
	if err != nil {
		return err
	}
	offsets, failed := admin.ListOffsets(ctx, partitions, req.timestamp)
	for _, p := range partitions {
		if err := failed[p]; err != nil {
			fmt.Fprintf(env.Stderr, "Skip getting offsets for topic-partition %s due to error: %s\n", p, throwable.String(err))
		}
	}
	slices.SortFunc(partitions, func(a, b topic.Partition) int { return strings.Compare(a.String(), b.String()) })
	for _, p := range partitions {
		if offset, ok := offsets[p]; ok && offset >= 0 && failed[p] == nil {
			fmt.Fprintf(env.Stdout, "%s:%d:%d\n", p.Topic, p.Index, offset)
		}
	}
	return nil
}

func parse(options *jopt.Set) (*request, error) {
	servers := "broker-list"
	if options.Has("bootstrap-server") {
		servers = "bootstrap-server"
	}
	texts, err := options.Texts(servers, "topic-partitions", "topic", "partitions", "time")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(texts[servers]) == "" {
		return nil, tool.Usagef("Error while validating the bootstrap address\n")
	}
	if err := client.CheckAddresses(texts[servers]); err != nil {
		if _, usage := errors.AsType[*tool.Usage](err); !usage {
			err = tool.Usagef("%v", err)
		}
		return nil, err
	}
	if options.Has("topic-partitions") && options.Any("topic", "partitions") {
		return nil, throwable.New(throwable.Terse, "--topic-partitions cannot be used with --topic or --partitions")
	}
	req := &request{servers: texts[servers], internal: !options.Has("exclude-internal-topics")}
	if req.timestamp, err = ParseTime(texts["time"]); err != nil {
		return nil, err
	}
	if options.Has("topic-partitions") {
		req.filter, err = filter.ParseRules(texts["topic-partitions"])
	} else {
		topics := ".*"
		if options.Has("topic") {
			topics = texts["topic"]
		}
		req.filter, err = filter.ParseIDs(topics, texts["partitions"])
	}
	return req, err
}

// ParseTime returns the timestamp that ListOffsets takes for the argument of --time.
func ParseTime(text string) (int64, error) {
	names := map[string]int64{"latest": -1, "earliest": -2, "max-timestamp": -3, "earliest-local": -4, "latest-tiered": -5}
	if timestamp, ok := names[text]; ok {
		return timestamp, nil
	}
	timestamp, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, throwable.Newf(throwable.Terse, "Malformed time argument %s. Please use -1 or latest / -2 or earliest / "+
			"-3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp", text)
	}
	return timestamp, nil
}

// selectPartitions returns the partitions that the filter selects, in the order of a HashMap of their topics; none is an
// error.
func selectPartitions(ctx context.Context, admin *client.Admin, req *request) ([]topic.Partition, error) {
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = nil // all
	resp, err := admin.Metadata(ctx, "listTopics", metadata)
	if err != nil {
		// Kafka's tool meets the error inside a future.
		return nil, throwable.InFuture(err)
	}
	topics, err := selectTopics(resp.Topics, req)
	if err != nil {
		return nil, err
	}
	var partitions []topic.Partition
	for _, t := range topics {
		slices.SortFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return cmp.Compare(a.Partition, b.Partition) })
		for _, p := range t.Partitions {
			partition := topic.Partition{Topic: *t.Topic, Index: p.Partition}
			selected, err := req.filter.Match(partition)
			if err != nil {
				return nil, err
			}
			if selected {
				partitions = append(partitions, partition)
			}
		}
	}
	if partitions == nil {
		return nil, throwable.New(throwable.Terse, "Could not match any topic-partitions with the specified filters")
	}
	return partitions, nil
}

// selectTopics returns the topics of which the filter may select partitions, in the order of a HashMap.
func selectTopics(all []kmsg.MetadataResponseTopic, req *request) ([]kmsg.MetadataResponseTopic, error) {
	var topics []kmsg.MetadataResponseTopic
	for _, t := range all {
		if t.Topic == nil || !req.internal && t.IsInternal {
			continue
		}
		selected, err := req.filter.MatchTopic(*t.Topic)
		if err != nil {
			return nil, err
		}
		if selected {
			topics = append(topics, t)
		}
	}
	javamap.Sort(topics, len(topics), func(t kmsg.MetadataResponseTopic) int32 { return javamap.HashString(*t.Topic) })
	return topics, nil
}
