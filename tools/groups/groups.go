// Package groups is gregorctl groups, Kafka's kafka-consumer-groups: it lists, describes and deletes consumer
// groups, and resets and deletes their offsets.
//
// As with Kafka's tool, what fails while it works is printed to standard output and the exit status is 0; only a
// wrong command line ends with 1.
package groups

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// logger is the class under which Kafka's tool logs.
const logger = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "groups",
		Script: "kafka-consumer-groups",
		Short:  "List, describe and delete consumer groups, reset and delete their offsets",
		About: "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset " +
			"consumer group offsets.",
		Examples: "NAME --bootstrap-server localhost:9092 --list\n" +
			"NAME --bootstrap-server localhost:9092 --describe --group billing\n" +
			"NAME --bootstrap-server localhost:9092 --describe --all-groups --state\n" +
			"NAME --bootstrap-server localhost:9092 --reset-offsets --group billing --topic orders --to-earliest --execute\n" +
			"NAME --bootstrap-server localhost:9092 --delete-offsets --group billing --topic orders:0,1\n" +
			"NAME --bootstrap-server localhost:9092 --delete --group billing",
		Options: options(),
		Run:     run,
		Fail:    tool.Uncaught, // of the command line; others are reported
	}
}

// command is one run of the tool.
type command struct {
	env     *tool.Env
	options *jopt.Set
	opened  *client.Admin
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := check(env, options); err != nil {
		return err
	}
	c := &command{env: env, options: options}
	err := c.open()
	if err == nil {
		defer c.opened.Close()
		err = c.act(ctx)
	}
	return c.report(err)
}

// act does the one thing that is asked for.
func (c *command) act(ctx context.Context) error {
	switch {
	case c.options.Has(list):
		return c.list(ctx)
	case c.options.Has(describe):
		return c.describe(ctx)
	case c.options.Has(remove):
		return c.remove(ctx)
	case c.options.Has(reset):
		return c.reset(ctx)
	}
	return c.removeOffsets(ctx)
}

// open makes the client.
func (c *command) open() error {
	properties, err := clientconf.LoadOption(c.options, commandConfig)
	if _, parsing := errors.AsType[*jopt.Error](err); parsing {
		return err
	}
	if err != nil {
		return throwable.InRuntime(err)
	}
	if properties["bootstrap.servers"], err = c.options.Value(bootstrapServer); err != nil {
		return err
	}
	c.opened, err = client.OpenAdmin(c.env, properties)
	return err
}

// admin returns the client with --timeout as the time for each call. It is read when it is needed, so that what is
// wrong with other options is said first.
func (c *command) admin() (*client.Admin, error) {
	millis, _, err := c.options.Int64(timeout)
	if err != nil {
		return nil, err
	}
	return c.opened.WithTimeout(time.Duration(max(int32(millis), 0)) * time.Millisecond), nil // Kafka's tool cuts it too
}

// report says what failed, as Kafka's tool does: wrong arguments are answered with the list of options, and nothing
// else changes the exit status.
func (c *command) report(err error) error {
	if err == nil {
		return nil
	}
	if _, usage := errors.AsType[*tool.Usage](err); usage {
		return err
	}
	exception := throwable.From(err)
	if exception.Class == throwable.IllegalArgument {
		return tool.Usagef("%s", exception.Message)
	}
	c.failure("Executing consumer group command failed due to %s", exception.Message)
	c.trace(err)
	return nil
}

// failure prints an error with an empty line above it.
func (c *command) failure(format string, args ...any) {
	fmt.Fprintf(c.env.Stdout, "\nError: "+format+"\n", args...)
}

// trace prints an error and its causes where Kafka's tool prints a stack trace.
func (c *command) trace(err error) {
	if c.env.Kafka {
		fmt.Fprint(c.env.Stderr, throwable.Trace(err))
	}
}
