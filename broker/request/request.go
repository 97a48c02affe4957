// Package request is what the network layer and the API handlers share: a request, the connection
// it came on, and its answer.
//
// A connection reads requests in order and calls each one's Handler in that order, so that a handler
// fixes its effect's place (an append, say) before it returns. The answer may come later, from any
// goroutine; the connection writes answers in request order whatever the order they come in.
package request

import (
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/gregor-mq/gregor/broker/auth"
)

// Conn describes the connection a request came on. It is immutable once the first request is handled.
type Conn struct {
	ID               string // local:port-remote:port-index, as Kafka's connection ids
	Listener         string // listener name, upper case
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Remote           netip.AddrPort
	Principal        auth.Principal
	InterBroker      bool // the listener is the one brokers use among themselves
}

// A Request is one request, from its decoded header to its answer.
//
// Invariant: exactly one of Reply, Drop, Abandon is called, once, by the handler or by what the handler
// hands the request to. After that call the request must not be touched: it is recycled.
type Request struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string // "" for null
	Conn          *Conn
	Received      time.Time
	Size          int // bytes of the whole frame, without its four length bytes

	// Throttle, set before Reply, mutes the connection: it handles no further request until this
	// long after the answer was given (KIP-219).
	Throttle time.Duration

	// Body is what follows the request header. It aliases the connection's frame buffer and is valid
	// until Handle returns; whoever needs a part of it later copies that part.
	Body []byte

	To Replier
}

// Replier receives the outcome of requests; the connection implements it. Its methods may be
// called from any goroutine, and during Handle.
type Replier interface {
	// Reply answers r with body; nil means that the client expects no answer (acks=0).
	Reply(r *Request, body Body)
	// Drop closes the connection without an answer, which is Kafka's reaction to what cannot be
	// parsed. One log line gives the reason.
	Drop(r *Request, reason error)
	// Abandon leaves r without an answer for ever, which is what Kafka does where a later request takes the place of
	// one that waits. Nothing behind r on its connection is handled; the client, or connections.max.idle.ms, ends it.
	Abandon(r *Request)
}

// Reply answers r with body in r's version; nil means no answer is written.
func (r *Request) Reply(body Body) { r.To.Reply(r, body) }

// Drop closes r's connection without an answer.
func (r *Request) Drop(reason error) { r.To.Drop(r, reason) }

// Abandon leaves r, whose Route holds what is behind it, without an answer for ever.
func (r *Request) Abandon() { r.To.Abandon(r) }

// Waits is called by a handler, on the goroutine that runs it, before it waits for something: answers to earlier
// requests that were held back, to leave together with its own, leave now.
func (r *Request) Waits() {
	if w, ok := r.To.(interface{ Waits() }); ok {
		w.Waits()
	}
}

// Body is a response body that appends itself in the version it was made for. kmsg's responses are
// bodies once their version is set.
type Body interface {
	AppendTo(dst []byte) []byte
}

// Sectioned is a body with runs of file bytes inside. Cuts is called after AppendTo.
type Sectioned interface {
	Body
	// Cuts lists, in order, where sections go: Section's bytes stand before the byte at index At of
	// what AppendTo appended. The connection releases each section once it is written or given up.
	Cuts() []Cut
}

// Cut is one place in a Sectioned body.
type Cut struct {
	At      int
	Section Section
}

// Section is a run of bytes of a log file. It says where the bytes are, and holds no file open between calls: an answer
// may have thousands of sections, and its client may be slow. So a section of a file that is deleted
// (after file.delete.delay.ms, as ever) cannot be read any more, and the connection that has promised it ends, as in Kafka.
type Section interface {
	io.ReaderAt // offset 0 is the first byte of the section
	Size() int64
	// Open returns the file and the position of the section's first byte in it, for sendfile; nil
	// if the bytes are not in a file of the operating system. If there is no error, Close follows, before anybody is waited for
	// and before the next Open.
	Open() (*os.File, int64, error)
	Close()
	// Release gives the section back. It is called exactly once.
	Release()
}

// Recycler is implemented by bodies that are pooled: Recycle is called once the body is written or
// given up.
type Recycler interface{ Recycle() }

// Handler answers the requests of one API. Handle runs on the connection's goroutine unless the
// Route says that it blocks.
type Handler interface {
	Handle(r *Request)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(r *Request)

// Handle calls f(r).
func (f HandlerFunc) Handle(r *Request) { f(r) }

// Route binds an API key to its handler.
type Route struct {
	Key          int16
	Name         string
	Min, Max     int16 // versions served, both inclusive
	FlexibleFrom int16 // first version with tagged fields; -1: none
	// Blocks says that Handle may wait (for ZooKeeper, say): the connection then runs it on a
	// goroutine of its own and goes on reading. One that waits although it does not say so, because what comes
	// behind it on the connection has to wait too, calls Request.Waits first.
	Blocks bool
	// Holds says that what comes behind it on the connection is handled once it is answered, and Follows that it is
	// handled once all before it are: as is every request in Kafka.
	Holds, Follows bool
	Handler        Handler
	// HandleAll handles several requests as if Handler were called with one after the other. It is for
	// APIs that are better off with all that a client has sent at once; nil: it makes no difference.
	HandleAll func(rs []*Request)
}

// Router finds the route of an API key; nil if the key is not served. It must be safe for
// concurrent use.
type Router interface {
	Route(key int16) *Route
}
