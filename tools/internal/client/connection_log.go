package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
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
		if config.Given("transactional.id") {
			return "[Producer clientId=" + id + ", transactionalId=" + config.String("transactional.id") + "] "
		}
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
			l.context, literal(broker.Host)+":"+strconv.Itoa(int(broker.Port)), id))
	}
}

// literal returns a host as Java writes it: an IPv6 address with all of its eight numbers.
func literal(host string) string {
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is6() {
		return host
	}
	bytes := ip.As16()
	numbers := make([]string, 8)
	for i := range numbers {
		numbers[i] = strconv.FormatUint(uint64(binary.BigEndian.Uint16(bytes[2*i:])), 16)
	}
	return strings.Join(numbers, ":")
}

// endpoint returns a broker's address as Java writes an InetSocketAddress: name/IP:port.
func endpoint(broker kgo.BrokerMetadata) string {
	port := strconv.Itoa(int(broker.Port))
	if net.ParseIP(broker.Host) != nil {
		return "/" + net.JoinHostPort(literal(broker.Host), port)
	}
	if addresses, err := net.LookupHost(broker.Host); err == nil && len(addresses) > 0 {
		return broker.Host + "/" + net.JoinHostPort(literal(addresses[0]), port)
	}
	return broker.Host + ":" + port
}
