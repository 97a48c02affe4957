// Package configs is gregorctl configs, Kafka's kafka-configs: it shows and changes the dynamic
// configuration of topics, brokers, their loggers and client metrics, the quotas of users, clients and IP
// addresses, and the SCRAM credentials of users.
//
// It asks brokers, or, with --zookeeper, writes what brokers will read when they start: credentials of users,
// and the configuration of brokers that do not run.
package configs

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

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "configs",
		Script: "kafka-configs",
		Short:  "Show and change configurations, quotas and credentials",
		About:  "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip or client-metrics",
		Examples: "NAME --bootstrap-server localhost:9092 --describe --topic orders --all\n" +
			"NAME --bootstrap-server localhost:9092 --alter --topic orders --add-config retention.ms=3600000\n" +
			"NAME --bootstrap-server localhost:9092 --alter --broker-defaults --delete-config log.retention.ms\n" +
			"NAME --bootstrap-server localhost:9092 --alter --user alice --add-config producer_byte_rate=1048576",
		Options: options(),
		Run:     run,
		Fail:    fail,
	}
}

// unexpected is an error that Kafka's tool prints with the command line and the exception.
type unexpected struct {
	error
	line string
}

func (u unexpected) Unwrap() error { return u.error }

// plain are the exceptions of which Kafka's tool prints nothing but the message.
var plain = map[string]bool{
	throwable.IllegalArgument:      true,
	throwable.NumberFormat:         true,
	throwable.InvalidConfiguration: true,
}

// fail ends the tool as Kafka's does.
func fail(env *tool.Env, _ *tool.Command, err error) int {
	exception := throwable.From(err)
	_, parsing := errors.AsType[*jopt.Error](err)
	u, ok := errors.AsType[unexpected](err)
	if env.Kafka && ok && !parsing && !plain[exception.Class] {
		fmt.Fprintf(env.Stderr, "Error while executing config command with args '%s'\n%s", u.line, throwable.Trace(err))
		return 1
	}
	message := exception.Message
	if message == "" {
		message = exception.Class
	}
	fmt.Fprintln(env.Stderr, message)
	return 1
}

func illegal(format string, args ...any) error {
	return throwable.Newf(throwable.IllegalArgument, format, args...)
}

// invalid is an error about what is to be changed.
func invalid(format string, args ...any) error {
	return throwable.Newf(throwable.InvalidConfiguration, format, args...)
}

// command is one run of the tool.
type command struct {
	env     *tool.Env
	options *jopt.Set
	admin   *client.Admin

	types []string // of entities, in Kafka's order
	names []string // of entities, "" for the default; fewer than types if some have none
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	c := &command{env: env, options: options}
	if err := c.do(ctx); err != nil {
		if _, usage := errors.AsType[*tool.Usage](err); usage {
			return err
		}
		return unexpected{err, options.Line()}
	}
	return nil
}

func (c *command) do(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.options.Has(zooKeeper) {
		fmt.Fprintln(c.env.Stdout, "Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.\n"+
			"Use --bootstrap-server instead to specify a broker to connect to.")
		return c.withZooKeeper(ctx)
	}
	if err := c.connect(); err != nil {
		return err
	}
	defer c.admin.Close()
	if !c.options.Has(alter) {
		return c.describe(ctx)
	}
	if len(c.types) != len(c.names) {
		return illegal("An entity name must be specified for every entity type")
	}
	return c.alter(ctx)
}

func (c *command) connect() error {
	texts, err := c.options.Texts(commandConfig, bootstrapServer, bootstrapController)
	if err != nil {
		return err
	}
	properties, err := clientconf.LoadFile(texts[commandConfig])
	if err != nil {
		return err
	}
	delete(properties, "bootstrap.servers")
	delete(properties, "bootstrap.controllers")
	if c.options.Has(bootstrapServer) {
		properties["bootstrap.servers"] = texts[bootstrapServer]
	} else {
		properties["bootstrap.controllers"] = texts[bootstrapController]
	}
	c.admin, err = client.OpenAdmin(c.env, properties)
	return err
}

// How long Kafka's tool waits for answers.
const (
	readPatience  = 30 * time.Second
	writePatience = time.Minute
)

// failed returns err as it comes out of a Java future for which the tool has waited.
func failed(err error) error {
	if err == nil || throwable.From(err).Class == throwable.FutureTimeout {
		return err
	}
	return throwable.InFuture(err)
}

func (c *command) describe(ctx context.Context) error {
	switch c.types[0] {
	case users, clients:
		if err := c.describeQuotas(ctx); err != nil {
			return err
		}
		return c.describeCredentials(ctx)
	case ips:
		return c.describeQuotas(ctx)
	}
	return c.describeResources(ctx)
}

func (c *command) alter(ctx context.Context) error {
	added, err := c.added()
	if err != nil {
		return err
	}
	deleted := c.deleted()
	switch c.types[0] {
	case users, clients:
		err = c.alterUsersOrClients(ctx, added, deleted)
	case ips:
		err = c.alterIPs(ctx, added, deleted)
	default:
		err = c.alterResource(ctx, added, deleted)
	}
	if err != nil {
		return err
	}
	kind := c.types[0]
	if c.names[0] == "" {
		fmt.Fprintf(c.env.Stdout, "Completed updating default config for %s in the cluster.\n", kind)
	} else {
		fmt.Fprintf(c.env.Stdout, "Completed updating config for %s %s.\n", kind[:len(kind)-1], c.names[0])
	}
	return nil
}
