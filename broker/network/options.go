package network

import (
	"cmp"
	"errors"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/request"
)

// Options configure a Server; a zero field takes the default named beside it.
type Options struct {
	Listeners []Listener         // required; SetListeners changes them
	Router    request.Router     // required
	Logger    logrus.FieldLogger // required
	Observer  Observer           // none
	Limits    Limits

	// MaxConnections are open at most, whatever Limits say, which may change: no limit.
	MaxConnections  int
	MaxRequestBytes int           // socket.request.max.bytes: 100 MiB
	QueuedBytes     int64         // queued.max.request.bytes: no limit
	MaxBlocking     int           // queued.max.requests: 500 handlers that block at a time
	MaxIdle         time.Duration // connections.max.idle.ms: 10 minutes; negative: connections may be silent forever
	SendBuffer      int           // socket.send.buffer.bytes: 100 KiB; -1: as the system likes
	ReceiveBuffer   int           // socket.receive.buffer.bytes: 100 KiB; -1: as the system likes
	Backlog         int           // socket.listen.backlog.size: 50; at least burstBacklog while no limit holds connections back
	// OnNoDescriptor is called when a connection cannot be accepted for want of a file descriptor (EMFILE, ENFILE), and says
	// whether it has made room for one: nothing.
	OnNoDescriptor func(error) (again bool)
	// MaxUnanswered requests of one connection may be in work at a time: 100. Kafka's is 1.
	MaxUnanswered int
}

// bounded returns limits with no more connections than there ever may be.
func (o *Options) bounded(limits Limits) Limits {
	if o.MaxConnections > 0 && (limits.Connections == 0 || limits.Connections > o.MaxConnections) {
		limits.Connections = o.MaxConnections
	}
	return limits
}

// Listener is an address to listen on.
type Listener struct {
	Name        string // as in listeners, upper case
	Protocol    string // security protocol; only PLAINTEXT is known
	Host        string // "" and 0.0.0.0: all interfaces
	Port        int    // 0: any free one, see Server.Endpoints
	InterBroker bool   // brokers use it among themselves
}

// Endpoint is a listener with the port that it has.
type Endpoint struct {
	Listener string
	Protocol string
	Host     string // as configured
	Port     int
}

// Limits bound connections; a zero field means no limit, a negative number of connections that none is let in, and a
// negative rate that each waits as long as a rate makes any wait, a second. They may change while the Server runs.
type Limits struct {
	Connections int // max.connections, of the whole broker
	PerIP       int // max.connections.per.ip
	// PerIPOverrides replaces PerIP for some addresses (max.connections.per.ip.overrides, whose host
	// names the caller has looked up), and is read like that. IPv4 addresses are not mapped into IPv6 here.
	PerIPOverrides map[netip.Addr]int
	CreationRate   int // max.connection.creation.rate, connections per second
	// IPRate bounds the connections per second of one address (connection_creation_rate, KIP-612),
	// IPRates those of some addresses.
	IPRate  int
	IPRates map[netip.Addr]int
	// Listeners adds limits that hold for one listener only, by name: max.connections and
	// max.connection.creation.rate with a listener prefix.
	Listeners map[string]ListenerLimits
}

// ListenerLimits bound the connections of one listener, as Limits do those of all.
type ListenerLimits struct {
	Connections  int
	CreationRate int
}

// Observer hears of what the Server does. Its methods are called on the goroutines that move bytes,
// from several at a time, and must not block.
type Observer interface {
	ConnectionOpened(listener string)
	ConnectionClosed(listener string)
	Served(s Served)
}

// Served describes a request whose reply is written, or that had none to write.
type Served struct {
	Listener      string
	Key, Version  int16
	RequestBytes  int // without the four length bytes
	ResponseBytes int // likewise; 0 if there was no reply
	// The times are Kafka's (RequestMetrics.scala): from reading the request to the start of the
	// handler, in the handler, from there to Reply, from Reply to the write, and the write itself.
	RequestQueue, Local, Remote, ResponseQueue, ResponseSend time.Duration
	Throttle                                                 time.Duration
}

// withDefaults checks o and fills in what is zero.
func (o Options) withDefaults() (Options, error) {
	if len(o.Listeners) == 0 || o.Router == nil || o.Logger == nil {
		return o, errors.New("network: Options needs Listeners, Router and Logger")
	}
	if err := checkListeners(o.Listeners); err != nil {
		return o, err
	}
	o.MaxRequestBytes = cmp.Or(o.MaxRequestBytes, 100<<20)
	o.MaxBlocking = cmp.Or(o.MaxBlocking, 500)
	o.MaxIdle = cmp.Or(o.MaxIdle, 10*time.Minute)
	o.SendBuffer = cmp.Or(o.SendBuffer, 100<<10)
	o.ReceiveBuffer = cmp.Or(o.ReceiveBuffer, 100<<10)
	o.Backlog = cmp.Or(o.Backlog, 50)
	o.MaxUnanswered = cmp.Or(o.MaxUnanswered, 100)
	if o.OnNoDescriptor == nil {
		o.OnNoDescriptor = func(error) bool { return false }
	}
	if o.MaxConnections < 0 || o.MaxRequestBytes < 0 || o.MaxBlocking < 0 || o.MaxUnanswered < 0 {
		return o, errors.New("network: Options has a negative bound")
	}
	return o, nil
}
