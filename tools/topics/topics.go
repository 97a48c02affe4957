// Package topics is gregorctl topics, Kafka's kafka-topics: it creates, lists, describes, changes and
// deletes topics.
package topics

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/filter"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// logger is the class under which Kafka's tool logs.
const logger = "org.apache.kafka.tools.TopicCommand"

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "topics",
		Script: "kafka-topics",
		Short:  "Create, list, describe, change and delete topics",
		About:  "This tool helps to create, delete, describe, or change a topic.",
		Empty:  "Create, delete, describe, or change a topic.",
		Examples: "NAME --bootstrap-server localhost:9092 --create --topic orders --partitions 3\n" +
			"NAME --bootstrap-server localhost:9092 --list\n" +
			"NAME --bootstrap-server localhost:9092 --describe --topic 'ord.*'\n" +
			"NAME --bootstrap-server localhost:9092 --alter --topic orders --partitions 6\n" +
			"NAME --bootstrap-server localhost:9092 --delete --topic orders",
		Options: options(),
		Run:     run,
	}
}

// command is one run of the tool.
type command struct {
	env     *tool.Env
	options *jopt.Set
	admin   *client.Admin
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := check(env, options); err != nil {
		return err
	}
	servers, err := options.Value(bootstrapServer)
	if err != nil {
		return err
	}
	admin, err := client.NewAdmin(env, servers, options, commandConfig, "")
	if err != nil {
		return err
	}
	defer admin.Close()

	c := &command{env: env, options: options, admin: admin}
	action := map[string]func(context.Context) error{
		create: c.create, alter: c.alter, list: c.list, describe: c.describe, remove: c.remove,
	}
	for name, do := range action {
		if options.Has(name) {
			return c.report(do(ctx))
		}
	}
	return nil
}

// report says what an action failed with. Kafka does so on standard output, and logs it.
func (c *command) report(err error) error {
	if err == nil || !c.env.Kafka {
		return err
	}
	fmt.Fprintln(c.env.Stdout, "Error while executing topic command : "+throwable.From(err).Message)
	c.env.Log("ERROR", logger, throwable.Trace(err))
	return tool.Exit(1)
}

func (c *command) list(ctx context.Context) error {
	names, err := c.names(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.env.Stdout, strings.Join(names, "\n"))
	return nil
}

func (c *command) remove(ctx context.Context) error {
	names, err := c.existing(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = requestTimeout
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name)
	}
	resp, err := c.admin.Call(ctx, "deleteTopics", req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		if err := throwable.FromCode(t.ErrorCode, t.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// names returns the topics that --topic and --exclude-internal select, sorted.
func (c *command) names(ctx context.Context) ([]string, error) {
	pattern, err := c.options.Value(topicName)
	if err != nil {
		return nil, err
	}
	topics, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	selected := func(string) (bool, error) { return true, nil }
	if c.options.Has(topicName) {
		matching, err := filter.ParseTopics(pattern)
		if err != nil {
			return nil, err
		}
		selected = matching.Match
	}
	var names []string
	for _, t := range topics {
		if t.Topic == nil {
			continue
		}
		matches, err := selected(*t.Topic)
		if err != nil {
			return nil, err
		}
		if matches {
			names = append(names, *t.Topic)
		}
	}
	slices.Sort(names)
	return names, nil
}

// all returns all topics, without the internal ones if they are excluded.
func (c *command) all(ctx context.Context) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil // all
	resp, err := c.admin.Metadata(ctx, "listTopics", req)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool {
		return c.options.Has(excludeInternal) && (t.IsInternal || t.Topic != nil && topic.IsInternal(*t.Topic))
	}), nil
}

// existing returns the topics that --topic selects, of which there must be one unless --if-exists.
func (c *command) existing(ctx context.Context) ([]string, error) {
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	wanted, _ := c.options.Value(topicName)
	if len(names) == 0 && wanted != "" && !c.options.Has(ifExists) {
		return nil, illegal("Topic 'Optional[%s]' does not exist as expected", wanted)
	}
	return names, nil
}

func illegal(format string, args ...any) error {
	return throwable.Newf(throwable.IllegalArgument, format, args...)
}
