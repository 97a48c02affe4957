// Package consume is gregorctl consume, Kafka's kafka-console-consumer: it prints the records of topics.
//
// Without --group it reads all partitions by itself and joins no consumer group; Kafka's tool joins one of
// its own making, which nobody else can see the use of. With --group it is a member with one of the classic
// assignors, and commits its positions as Kafka's consumer does; the group protocol of KIP-848 is refused.
package consume

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// logger is the class under which Kafka's tool logs.
const logger = "org.apache.kafka.tools.consumer.ConsoleConsumer"

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "consume",
		Script: "kafka-console-consumer",
		Short:  "Print the records of topics",
		About:  "This tool helps to read data from Kafka topics and outputs it to standard output.",
		Examples: "NAME --bootstrap-server localhost:9092 --topic orders --from-beginning\n" +
			"NAME --bootstrap-server localhost:9092 --topic orders --partition 0 --offset 100 --max-messages 10\n" +
			"NAME --bootstrap-server localhost:9092 --topic orders --group printers --property print.key=true",
		Options: options(),
		Run:     run,
		Fail:    fail,
	}
}

// uncaught is an error that Kafka's tool does not expect: it is logged, and the tool ends with 1.
type uncaught struct{ error }

func (u uncaught) Unwrap() error { return u.error }

// fail ends the tool as Kafka's does: a wrong command line is answered with the list of options.
func fail(env *tool.Env, c *tool.Command, err error) int {
	if _, ok := errors.AsType[uncaught](err); ok {
		if env.Kafka {
			env.LogError(logger, "Unknown error when running consumer: ", err)
		} else {
			fmt.Fprintln(env.Stderr, throwable.From(err).Message)
		}
		return 1
	}
	if option, ok := errors.AsType[*jopt.Error](err); ok && !option.Late() {
		return c.Usage(env, option.Message)
	}
	return tool.Uncaught(env, c, err)
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	r, err := parse(env, options)
	if err != nil {
		return err
	}
	r.properties["key.deserializer"], r.properties["value.deserializer"] = clientconf.ByteArrayDeserializer, clientconf.ByteArrayDeserializer
	config, err := clientconf.New(clientconf.Consumer, r.properties)
	if err != nil {
		return uncaught{err}
	}
	client.LogWarnings(env, config)
	c, err := open(env, options, r, config)
	if err != nil {
		return uncaught{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer tool.OnSignal(cancel, tool.OneSignal)()
	err = c.runAndClose(ctx, cancel)
	fmt.Fprintf(env.Stderr, "Processed a total of %d messages\n", c.count)
	if r.systemTest {
		fmt.Fprintln(env.Stdout, "shutdown_complete")
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// open makes the client, and checks in Kafka's order what cannot be consumed.
func open(env *tool.Env, options *jopt.Set, r *request, config *clientconf.Config) (*consumer, error) {
	if err := checkConfig(config); err != nil {
		return nil, err
	}
	c := &consumer{env: env, request: r, logContext: client.LogContext(config)}
	if r.joins(config) {
		c.positions = newPositions(config)
	}
	settings, err := r.clientOptions(config, c.positions)
	if err != nil {
		return nil, err
	}
	if c.client, err = client.New(env, config, settings...); err != nil {
		return nil, err
	}
	if c.positions != nil {
		c.positions.use(c.client)
	}
	if c.subscription, err = r.subscribe(config); err == nil {
		err = r.parseMaxMessages(env, options)
	}
	if err != nil {
		c.client.Close()
		return nil, err
	}
	return c, nil
}

// clientOptions turns the configuration into franz-go's options.
func (r *request) clientOptions(config *clientconf.Config, places *positions) ([]kgo.Opt, error) {
	options := []kgo.Opt{
		kgo.FetchMaxWait(config.Millis("fetch.max.wait.ms")),
		kgo.FetchMinBytes(int32(config.Int("fetch.min.bytes"))),
		kgo.FetchMaxBytes(int32(config.Int("fetch.max.bytes"))),
		kgo.FetchMaxPartitionBytes(int32(min(partitionBytes(config), config.Int("fetch.max.bytes")))),
		kgo.BrokerMaxReadBytes(max(int32(config.Int("fetch.max.bytes")), 1<<27)),
		kgo.ConsumeResetOffset(resetOffset(config)),
		kgo.KeepRetryableFetchErrors(),
	}
	if config.String("isolation.level") == "read_committed" {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if config.Bool("allow.auto.create.topics") && !r.included { // what is included is there, or is not wanted any more
		options = append(options, kgo.AllowAutoTopicCreation())
	}
	if !config.Bool("check.crcs") {
		options = append(options, kgo.DisableFetchCRCValidation())
	}
	if rack := config.String("client.rack"); rack != "" {
		options = append(options, kgo.Rack(rack))
	}
	options = append(options, r.source()...)
	if !r.joins(config) {
		return options, nil
	}
	group, err := groupOptions(r.group, config)
	return append(append(options, group...), places.options()...), err
}

// partitionBytes returns how much of one partition is asked for at a time: what the user says or, since few
// partitions are read here, more than Kafka's default, which costs a round trip for each MiB.
func partitionBytes(config *clientconf.Config) int {
	if config.Given("max.partition.fetch.bytes") {
		return config.Int("max.partition.fetch.bytes")
	}
	return 8 << 20
}

// resetOffset returns where to start without a position of one's own: auto.offset.reset.
func resetOffset(config *clientconf.Config) kgo.Offset {
	switch config.String("auto.offset.reset") {
	case "earliest":
		return kgo.NewOffset().AtStart()
	case "none":
		return kgo.NoResetOffset()
	}
	return kgo.NewOffset().AtEnd()
}

// source says what is consumed: one partition or a topic. Topics that are included are added as they are found.
func (r *request) source() []kgo.Opt {
	switch {
	case r.included, r.topic == "", r.partition < 0: // of a negative partition no record ever comes
		return nil
	case !r.one:
		return []kgo.Opt{kgo.ConsumeTopics(r.topic)}
	}
	at := kgo.NewOffset().At(r.offset)
	switch r.offset {
	case offsetEarliest:
		at = kgo.NewOffset().AtStart()
	case offsetLatest:
		at = kgo.NewOffset().AtEnd()
	}
	return []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: {r.partition: at}})}
}
