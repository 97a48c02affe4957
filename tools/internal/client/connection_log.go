package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

const networkClient = "org.apache.kafka.clients.NetworkClient"

// connectionLog logs connections that cannot be made, in the words of Kafka's NetworkClient.
type connectionLog struct {
	env     *tool.Env
	context string
	seeds   bool // a second line is about the first brokers
}

func newConnectionLog(env *tool.Env, config *clientconf.Config) *connectionLog {
	return &connectionLog{env: env, context: LogContext(config), seeds: config.Client() != clientconf.Admin}
}

// LogContext returns the prefix of a client's log lines, with a space at the end.
func LogContext(config *clientconf.Config) string {
	id := config.String("client.id")
	switch config.Client() {
	case clientconf.Producer:
		return "[Producer clientId=" + id + "] "
	case clientconf.Consumer:
		return "[Consumer clientId=" + id + ", groupId=" + config.String("group.id") + "] "
	}
	return "[AdminClient clientId=" + id + "] "
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (l *connectionLog) OnBrokerConnect(broker kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) { // the tool has ended
		return
	}
	id, seed := broker.NodeID, broker.NodeID < 0
	if seed {
		id = math.MinInt32 - id - 1 // franz-go counts seeds up from MinInt32, Kafka down from -1
	}
	l.env.Log("WARN", networkClient, fmt.Sprintf("%sConnection to node %d (%s) could not be established. "+
		"Node may not be available.", l.context, id, endpoint(broker)))
	if seed && l.seeds {
		l.env.Log("WARN", networkClient, fmt.Sprintf("%sBootstrap broker %s (id: %d rack: null) disconnected",
			l.context, net.JoinHostPort(broker.Host, strconv.Itoa(int(broker.Port))), id))
	}
}

// endpoint returns a broker's address as Java writes an InetSocketAddress: name/IP:port.
func endpoint(broker kgo.BrokerMetadata) string {
	port := strconv.Itoa(int(broker.Port))
	if net.ParseIP(broker.Host) != nil {
		return "/" + net.JoinHostPort(broker.Host, port)
	}
	if addresses, err := net.LookupHost(broker.Host); err == nil && len(addresses) > 0 {
		return broker.Host + "/" + net.JoinHostPort(addresses[0], port)
	}
	return broker.Host + ":" + port
}
