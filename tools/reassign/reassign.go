// Package reassign is gregorctl reassign, Kafka's kafka-reassign-partitions: it moves the replicas of
// partitions to other brokers or directories (KIP-455, KIP-113), slowly if asked to, and tells how far that is.
package reassign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// The names of the options.
const (
	generate    = "generate"
	execute     = "execute"
	verify      = "verify"
	cancel      = "cancel"
	list        = "list"
	bootstrap   = "bootstrap-server"
	config      = "command-config"
	planFile    = "reassignment-json-file"
	topicsFile  = "topics-to-move-json-file"
	brokerList  = "broker-list"
	rackUnaware = "disable-rack-aware"
	throttle    = "throttle"
	dirThrottle = "replica-alter-log-dirs-throttle"
	timeout     = "timeout"
	additional  = "additional"
	preserve    = "preserve-throttles"
)

// actions are the options of which exactly one must be given, with what they need and what goes with them.
var actions = []struct {
	name            string
	needs, goesWith []string
	run             func(*command, context.Context) error
}{
	{generate, []string{topicsFile, brokerList}, []string{bootstrap, brokerList, config, rackUnaware}, (*command).generate},
	{execute, []string{planFile}, []string{additional, bootstrap, config, throttle, dirThrottle, timeout}, (*command).execute},
	{verify, []string{planFile}, []string{bootstrap, config, preserve}, (*command).verify},
	{cancel, []string{planFile}, []string{bootstrap, config, preserve, timeout}, (*command).cancel},
	{list, nil, []string{bootstrap, config}, (*command).list},
}

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "reassign",
		Script: "kafka-reassign-partitions",
		Short:  "Move replicas of partitions to other brokers or directories",
		About:  "This tool helps to move topic partitions between replicas.",
		Examples: "NAME --bootstrap-server localhost:9092 --generate --topics-to-move-json-file topics.json --broker-list 2,3\n" +
			"NAME --bootstrap-server localhost:9092 --execute --reassignment-json-file plan.json --throttle 50000000\n" +
			"NAME --bootstrap-server localhost:9092 --verify --reassignment-json-file plan.json\n" +
			"NAME --bootstrap-server localhost:9092 --list",
		Options: options(),
		Run:     run,
		Fail:    fail,
	}
}

func options() *jopt.Parser {
	number := func(name, kind, byDefault, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: jopt.Long, Value: kind, Default: byDefault, Doc: doc}
	}
	return jopt.New(
		jopt.Switch(generate, "Propose a plan that puts the topics of --topics-to-move-json-file on the brokers of --broker-list. "+
			"Nothing is moved."),
		jopt.Switch(execute, "Begin to move replicas as the plan in --reassignment-json-file says."),
		jopt.Switch(verify, "Tell how far the moves of the plan are. If none is going on any more, take the throttles away."),
		jopt.Switch(cancel, "Undo the moves of the plan that are going on, and take the throttles away."),
		jopt.Switch(list, "List all partitions that are being moved."),
		jopt.Value(bootstrap, "Server(s) to use for bootstrapping", "REQUIRED: brokers to ask first, as host:port,host:port."),
		jopt.Value(config, "Admin client property file", "File with properties of the admin client."),
		jopt.Value(planFile, "manual assignment json file path", "File with the plan:\n{\"partitions\":\n  [{\"topic\": \"foo\",\n"+
			"    \"partition\": 1,\n    \"replicas\": [1,2,3],\n    \"log_dirs\": [\"dir1\",\"any\",\"any\"] }],\n \"version\":1\n}\n"+
			"\"log_dirs\" may be left out; it holds a directory on each of the brokers, or \"any\"."),
		jopt.Value(topicsFile, "topics to reassign json file path", "File with topics:\n{\"topics\":\n  [{\"topic\": \"foo\"},{\"topic\": \"foo1\"}],\n \"version\":1\n}"),
		jopt.Value(brokerList, "brokerlist", "Ids of brokers, as 0,1,2."),
		jopt.Switch(rackUnaware, "With --generate: do not spread replicas over racks."),
		number(throttle, "throttle", "-1", "With --execute: how many bytes per second a broker takes part in moves with, at least 1024. "+
			"--additional with the same plan changes it."),
		number(dirThrottle, "replicaAlterLogDirsThrottle", "-1", "With --execute: how many bytes per second a broker moves between its directories."),
		number(timeout, "timeout", "10000", "How many milliseconds to wait until moves between directories can begin."),
		jopt.Switch(additional, "With --execute: although other moves are going on."),
		jopt.Switch(preserve, "Leave throttles as they are."),
	)
}

// command is one run of the tool.
type command struct {
	env     *tool.Env
	options *jopt.Set
	admin   *client.Admin
}

// onStdout is an error of an action, which Kafka's tool reports on standard output.
type onStdout struct{ error }

func (o onStdout) Unwrap() error { return o.error }

// fail ends the tool as Kafka's does.
func fail(env *tool.Env, c *tool.Command, err error) int {
	exception := throwable.From(err)
	_, acting := errors.AsType[onStdout](err)
	switch {
	case !env.Kafka || !acting:
		return tool.Uncaught(env, c, err)
	case exception.Class == throwable.Terse:
		fmt.Fprintln(env.Stdout, exception.Message)
	default:
		fmt.Fprintf(env.Stdout, "Error: %s\n%s\n", exception.Message, throwable.Trace(err))
	}
	return 1
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	do, err := check(options)
	if err != nil {
		return err
	}
	c := &command{env: env, options: options}
	if err := c.connect(); err != nil {
		return onStdout{err}
	}
	defer c.admin.Close()
	if err := do(c, ctx); err != nil {
		return onStdout{err}
	}
	return nil
}

func (c *command) connect() error {
	texts, err := c.options.Texts(bootstrap, config)
	if err != nil {
		return err
	}
	c.admin, err = client.NewAdminWith(c.env, texts[bootstrap], texts[config], clientconf.Properties{"client.id": "reassign-partitions-tool"})
	return err
}

// check refuses combinations of options that make no sense, in Kafka's order and words, and returns what is
// to be done.
func check(options *jopt.Set) (func(*command, context.Context) error, error) {
	var names []string
	chosen := -1
	for i, action := range actions {
		if options.Has(action.name) && chosen < 0 {
			chosen = i
		} else if options.Has(action.name) {
			chosen = len(actions) // more than one
		}
		names = append(names, "--"+action.name)
	}
	if chosen < 0 || chosen == len(actions) {
		return nil, tool.Usagef("Command must include exactly one action: %s", strings.Join(names, ", "))
	}
	if !options.Has(bootstrap) {
		return nil, tool.Usagef("Please specify --bootstrap-server")
	}
	action := actions[chosen]
	if err := tool.CheckRequired(options, action.needs...); err != nil {
		return nil, err
	}
	for _, name := range options.Order() {
		if name != action.name && !slices.Contains(action.needs, name) && !slices.Contains(action.goesWith, name) {
			return nil, tool.Usagef("Option \"[%s]\" can't be used with action \"[%s]\"", name, action.name)
		}
	}
	return action.run, nil
}

// readFile returns the contents of the file that an option names.
func (c *command) readFile(option string) ([]byte, error) {
	path, err := c.options.Value(option)
	if err != nil {
		return nil, err
	}
	return tool.ReadFile(path)
}

// number returns the value of an option that is a number and has a default.
func (c *command) number(option string) (int64, error) {
	n, _, err := c.options.Int64(option)
	return n, err
}

// plural returns "s" unless n is one.
func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func join(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}

// texts returns what the elements are written as.
func texts[T fmt.Stringer](elements []T) []string {
	written := make([]string, len(elements))
	for i, element := range elements {
		written[i] = element.String()
	}
	return written
}
