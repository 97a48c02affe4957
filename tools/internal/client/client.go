// Package client connects the tools to a cluster: it turns a configuration under Kafka's property names
// into a franz-go client, which negotiates versions, finds leaders and the controller, and tries again.
// What goes wrong on the way is said in the words of Kafka's own clients.
package client

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// failures is what Kafka's clients say when they cannot be made.
var failures = map[clientconf.Client]string{
	clientconf.Admin:    "Failed to create new KafkaAdminClient",
	clientconf.Producer: "Failed to construct kafka producer",
	clientconf.Consumer: "Failed to construct kafka consumer",
}

// New returns a client for config with further options. It checks the addresses, but does not connect.
func New(env *tool.Env, config *clientconf.Config, further ...kgo.Opt) (*kgo.Client, error) {
	cl, err := open(env, config, newConnectionLog(env, config), further)
	if err != nil {
		return nil, Failed(config, err)
	}
	return cl, nil
}

// NewLegacy returns a client as kafka-broker-api-versions has one: with a short time for requests, and with
// a name of its own in the log.
func NewLegacy(env *tool.Env, properties clientconf.Properties) (*kgo.Client, error) {
	if properties["request.timeout.ms"] == "" {
		properties["request.timeout.ms"] = "5000"
	}
	properties["client.id"] = "admin-1"
	config, err := clientconf.New(clientconf.Admin, properties)
	if err != nil {
		return nil, err
	}
	log := &connectionLog{env: env, context: "[LegacyAdminClient clientId=admin-1] ", seeds: true}
	return open(env, config, log, nil)
}

// LogWarnings logs what Kafka's clients say about a configuration that they take, but not as it is.
func LogWarnings(env *tool.Env, config *clientconf.Config) {
	for _, warning := range config.Warnings() {
		env.Log("WARN", "org.apache.kafka.clients.CommonClientConfigs", warning)
	}
}

// Failed returns err as a client of Kafka's throws what comes up while it is made.
func Failed(config *clientconf.Config, err error) error {
	return &throwable.Exception{Class: throwable.Kafka, Message: failures[config.Client()], Cause: throwable.From(err)}
}

// maxOverhead is the longest that franz-go lets a request last, besides what the request itself says.
const maxOverhead = 15 * time.Minute

// checkClasses refuses classes of which a client cannot make objects.
func checkClasses(config *clientconf.Config) error {
	if err := config.CheckInstances("metric.reporters", clientconf.MetricsReporter); err != nil {
		return err
	}
	switch config.Client() {
	case clientconf.Producer:
		if err := config.CheckInstances("partitioner.class", clientconf.Partitioner); err != nil {
			return err
		}
		return config.CheckInstances("interceptor.classes", clientconf.ProducerInterceptor)
	case clientconf.Consumer:
		return config.CheckInstances("interceptor.classes", clientconf.ConsumerInterceptor)
	}
	return nil
}

func open(env *tool.Env, config *clientconf.Config, log *connectionLog, further []kgo.Opt) (*kgo.Client, error) {
	if err := checkClasses(config); err != nil {
		return nil, err
	}
	servers, err := bootstrap(env, config)
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(servers...),
		kgo.ClientID(config.String("client.id")),
		kgo.SoftwareNameAndVersion("gregorctl", tool.Version),
		kgo.RequestTimeoutOverhead(min(atLeast(config.Millis("request.timeout.ms"), 100*time.Millisecond), maxOverhead)),
		kgo.ConnIdleTimeout(atLeast(config.Millis("connections.max.idle.ms"), time.Second)),
		kgo.MetadataMaxAge(atLeast(config.Millis("metadata.max.age.ms"), time.Second)),
		kgo.MetadataMinAge(50 * time.Millisecond), // a topic that was just created has its leader soon
		kgo.RetryBackoffFn(backoff(config)),
		kgo.Dialer(dialer(config)),
		kgo.WithHooks(log),
		kgo.DisableClientMetrics(),
	}
	security, err := securityOptions(config)
	if err != nil {
		return nil, &throwable.Exception{Class: throwable.Kafka, Message: "Failed to create new NetworkClient", Cause: throwable.From(err)}
	}
	return kgo.NewClient(append(append(options, security...), further...)...)
}

func atLeast(d, lowest time.Duration) time.Duration { return max(d, lowest) }

// backoff waits as Kafka's clients do before they connect or ask again: twice as long each time, up to
// a limit, and a fifth more or less.
func backoff(config *clientconf.Config) func(int) time.Duration {
	first := max(config.Millis("retry.backoff.ms"), config.Millis("reconnect.backoff.ms"), time.Millisecond)
	last := max(config.Millis("retry.backoff.max.ms"), config.Millis("reconnect.backoff.max.ms"), first)
	return func(failed int) time.Duration {
		wait := min(first<<min(max(failed-1, 0), 20), last)
		return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
	}
}

// dialer opens TCP connections with the socket buffers asked for.
func dialer(config *clientconf.Config) func(ctx context.Context, network, host string) (net.Conn, error) {
	timeout := cmp.Or(config.Millis("socket.connection.setup.timeout.ms"), 10*time.Second)
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, network, host)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			setBuffers(tcp, config)
		}
		return conn, nil
	}
}

// setBuffers sets the sizes of the socket's buffers if the user chose them; the system's own, which
// grow as needed, are faster than Kafka's defaults.
func setBuffers(conn *net.TCPConn, config *clientconf.Config) {
	if size := config.Int("send.buffer.bytes"); config.Given("send.buffer.bytes") && size > 0 {
		conn.SetWriteBuffer(size)
	}
	if size := config.Int("receive.buffer.bytes"); config.Given("receive.buffer.bytes") && size > 0 {
		conn.SetReadBuffer(size)
	}
}
