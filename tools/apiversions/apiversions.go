// Package apiversions is gregorctl broker-api-versions, Kafka's kafka-broker-api-versions: it prints which
// APIs every broker of a cluster serves in which versions, and which of them a client of Kafka 3.9 uses.
package apiversions

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/apikeys"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:     "broker-api-versions",
		Script:   "kafka-broker-api-versions",
		Short:    "Show which APIs brokers serve, and in which versions",
		About:    "This tool helps to retrieve broker version information.",
		Examples: "NAME --bootstrap-server localhost:9092",
		Options: jopt.New(
			jopt.Value("bootstrap-server", "server(s) to use for bootstrapping", "REQUIRED: brokers to ask first, as host:port,host:port."),
			jopt.Value("command-config", "command config property file", "File with properties of the client."),
		),
		Run:  run,
		Fail: tool.Uncaught,
	}
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := tool.CheckRequired(options, "bootstrap-server"); err != nil {
		return err
	}
	file, err := options.Value("command-config")
	if err != nil {
		return err
	}
	properties, err := clientconf.LoadFile(file)
	if err != nil {
		return err
	}
	if properties["bootstrap.servers"], err = options.Value("bootstrap-server"); err != nil {
		return err
	}
	cl, err := client.NewLegacy(env, properties)
	if err != nil {
		return err
	}
	defer cl.Close()
	brokers, err := findBrokers(ctx, cl, properties["bootstrap.servers"])
	if err != nil {
		return err
	}
	for _, b := range brokers {
		fmt.Fprintf(env.Stdout, "%s -> %s\n", node(b), versions(ctx, cl.Broker(int(b.NodeID))))
	}
	return nil
}

// findBrokers asks each of the first brokers once, until one answers.
func findBrokers(ctx context.Context, cl *kgo.Client, bootstrap string) ([]kmsg.MetadataResponseBroker, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil // all, as Kafka's tool asks
	for _, seed := range cl.SeedBrokers() {
		resp, err := seed.Request(ctx, req)
		if err == nil {
			brokers := resp.(*kmsg.MetadataResponse).Brokers
			slices.SortFunc(brokers, func(a, b kmsg.MetadataResponseBroker) int { return cmp.Compare(a.NodeID, b.NodeID) })
			return brokers, nil
		}
	}
	var asked []string
	for address := range strings.SplitSeq(bootstrap, ",") {
		if address = strings.TrimSpace(address); address != "" {
			asked = append(asked, fmt.Sprintf("%s (id: %d rack: null)", address, -1-len(asked)))
		}
	}
	return nil, throwable.Newf(throwable.Runtime, "Request METADATA failed on brokers List(%s)", strings.Join(asked, ", "))
}

// node writes a broker as Java does.
func node(b kmsg.MetadataResponseBroker) string {
	rack := "null"
	if b.Rack != nil {
		rack = *b.Rack
	}
	return fmt.Sprintf("%s (id: %d rack: %s)", net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), b.NodeID, rack)
}

// versions asks a broker which APIs it serves, and returns them or what went wrong.
func versions(ctx context.Context, broker *kgo.Broker) string {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "gregorctl", tool.Version
	answer, err := broker.Request(ctx, req)
	if err != nil {
		if throwable.Code(err) == 0 {
			err = throwable.New(throwable.Disconnect, "")
		}
		return "ERROR: " + throwable.String(err)
	}
	resp := answer.(*kmsg.ApiVersionsResponse)
	if err := throwable.FromCode(resp.ErrorCode, nil); err != nil {
		return "ERROR: " + throwable.String(err)
	}
	return format(resp.ApiKeys)
}

// format writes the APIs in the order of their keys, with those of clients that the broker does not serve.
func format(served []kmsg.ApiVersionsResponseApiKey) string {
	lines := map[int16]string{}
	for key, a := range apikeys.All {
		if a.Client {
			lines[key] = fmt.Sprintf("%s(%d): UNSUPPORTED", a.Name, key)
		}
	}
	for _, s := range served {
		lines[s.ApiKey] = line(s)
	}
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		texts = append(texts, lines[key])
	}
	return "(\n\t" + strings.Join(texts, ",\n\t") + "\n)"
}

// line writes what is served of one API.
func line(s kmsg.ApiVersionsResponseApiKey) string {
	span := strconv.Itoa(int(s.MinVersion))
	if s.MaxVersion != s.MinVersion {
		span += " to " + strconv.Itoa(int(s.MaxVersion))
	}
	a, ok := apikeys.All[s.ApiKey]
	switch {
	case !ok:
		return fmt.Sprintf("UNKNOWN(%d): %s", s.ApiKey, span)
	case a.Latest < s.MinVersion:
		span += " [unusable: node too new]"
	case s.MaxVersion < a.Oldest:
		span += " [unusable: node too old]"
	default:
		span += fmt.Sprintf(" [usable: %d]", min(a.Latest, s.MaxVersion))
	}
	return fmt.Sprintf("%s(%d): %s", a.Name, s.ApiKey, span)
}
