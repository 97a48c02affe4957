// Package produce is gregorctl produce, Kafka's kafka-console-producer: it makes a record of each line of
// its input and sends it to a topic.
package produce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// defaultReader is the only class that --line-reader can name.
const defaultReader = "kafka.tools.ConsoleProducer$LineMessageReader"

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "produce",
		Script: "kafka-console-producer",
		Short:  "Send each line of the input to a topic",
		About:  "This tool helps to read data from standard input and publish it to Kafka.",
		Examples: "NAME --bootstrap-server localhost:9092 --topic orders < lines.txt\n" +
			"NAME --bootstrap-server localhost:9092 --topic orders --property parse.key=true --property key.separator=: <<< key:value\n" +
			"NAME --bootstrap-server localhost:9092 --topic orders --compression-codec zstd < lines.txt",
		Options: options(),
		Run:     run,
		Fail:    fail,
	}
}

// fail ends the tool as Kafka's does: a wrong command line is answered with the list of options, all else
// with the exception.
func fail(env *tool.Env, c *tool.Command, err error) int {
	option, ok := errors.AsType[*jopt.Error](err)
	switch {
	case ok && !option.Late():
		return c.Usage(env, option.Message)
	case ok || !env.Kafka:
		fmt.Fprintln(env.Stderr, throwable.From(err).Message)
	default:
		io.WriteString(env.Stderr, throwable.Trace(err))
	}
	return 1
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := tool.CheckRequired(options, "topic"); err != nil {
		return err
	}
	topic, err := options.Value("topic")
	if err != nil {
		return err
	}
	properties, err := producerProperties(options)
	if err != nil {
		return err
	}
	config, err := clientconf.New(clientconf.Producer, properties)
	if err != nil {
		return err
	}
	client.LogWarnings(env, config)
	settings, err := newSettings(env, config)
	if err != nil {
		return err
	}
	cl, err := client.New(env, config, kgo.RequiredAcks(acksOption(settings.acks)),
		kgo.DisableIdempotentWrite(), kgo.ProduceRequestTimeout(min(max(settings.request, 100*time.Millisecond), time.Hour)))
	if err != nil {
		return err
	}
	defer cl.Close()
	warnPartitioner(env, config, settings.logContext)
	if err := settings.checkDelivery(env, config); err != nil {
		return err
	}
	reader, err := newReader(env, options, topic)
	if err != nil {
		return err
	}
	p := newProducer(env, cl, reader.format.topic, settings)
	ctx, cancel := context.WithCancelCause(ctx)
	defer p.refreshing.Wait()
	defer cancel(nil)
	defer tool.OnSignal(cancel, tool.OneSignal)()
	return drive(ctx, p, reader, options.Has("sync"))
}

// drive sends every line, until ctx ends. What was read by then is sent, whatever happened; a second signal does not wait for
// that.
func drive(ctx context.Context, p *producer, reader *lineReader, sync bool) error {
	defer p.close()
	ended := make(chan error, 1)
	go func() { ended <- loop(ctx, p, reader, sync) }() // while it waits for a line it ends with the process only
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func acksOption(acks int16) kgo.Acks {
	switch acks {
	case 0:
		return kgo.NoAck()
	case 1:
		return kgo.LeaderAck()
	}
	return kgo.AllISRAcks()
}

// loop sends every line. With sync it waits for each and ends at the first that fails.
func loop(ctx context.Context, p *producer, reader *lineReader, sync bool) error {
	if sync {
		p.onFailure = func(record, error) {}
	}
	var r record
	for {
		switch err := reader.next(&r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		r.timestamp = p.env.Now().UnixMilli()
		b, err := p.send(ctx, &r)
		thrown, isThrown := errors.AsType[uncaught](err)
		switch {
		case isThrown:
			return thrown.error
		case err != nil && sync:
			return throwable.InFuture(err)
		case err != nil:
			p.onFailure(r, err)
		case sync:
			if err := p.await(ctx, b); err != nil {
				return err
			}
		}
	}
}

// newReader returns the reader of lines. Its property topic, which is --topic unless it is given, says where records go.
func newReader(env *tool.Env, options *jopt.Set, topic string) (*lineReader, error) {
	class, err := options.Value("line-reader")
	if err != nil {
		return nil, err
	}
	if class != defaultReader {
		return nil, throwable.Worded(throwable.ClassNotFound, class)
	}
	properties, err := clientconf.LoadOption(options, "reader-config")
	if err != nil {
		return nil, err
	}
	properties["topic"] = topic
	properties.Merge(clientconf.ParsePairs(options.Values("property")))
	format, err := parseFormat(properties)
	if err != nil {
		return nil, err
	}
	var prompt func()
	if tool.IsTerminal(env.Stdin) && tool.IsTerminal(env.Stdout) {
		prompt = func() { io.WriteString(env.Stdout, ">") }
	}
	return newLineReader(env.Stdin, format, prompt), nil
}

// producerProperties puts together the producer's configuration: the file, --producer-property, and the
// options that stand for properties.
func producerProperties(options *jopt.Set) (clientconf.Properties, error) {
	texts, err := options.Texts("bootstrap-server", "broker-list", "compression-codec")
	if err != nil {
		return nil, err
	}
	servers := texts["broker-list"]
	if options.Has("bootstrap-server") {
		servers = texts["bootstrap-server"]
	}
	if err := client.CheckAddresses(servers); err != nil {
		return nil, err
	}
	properties, err := clientconf.LoadOption(options, "producer.config")
	if err != nil {
		return nil, err
	}
	properties.Merge(clientconf.ParsePairs(options.Values("producer-property")))
	properties["bootstrap.servers"] = servers
	properties["key.serializer"], properties["value.serializer"] = clientconf.ByteArraySerializer, clientconf.ByteArraySerializer
	properties["compression.type"] = compressionType(options, texts["compression-codec"])
	if _, set := properties["client.id"]; !set {
		properties["client.id"] = "console-producer"
	}
	return properties, mergeOptions(properties, options)
}

func compressionType(options *jopt.Set, codec string) string {
	switch {
	case !options.Has("compression-codec"):
		return "none"
	case codec == "":
		return "gzip"
	}
	return strings.TrimSpace(codec)
}
