package zkutil

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// Client is a connection to the part of ZooKeeper below a chroot that lasts until Close, whatever
// becomes of connections and sessions meanwhile. Its methods may be called from any goroutine.
//
// Invariants:
//   - a request is sent on the session that its operation began with, or not at all
//   - callbacks of the old session, Expired, Renewed and callbacks of the new session come in this order
type Client struct {
	opts    Options
	log     logrus.FieldLogger
	servers []string
	chroot  string // "" or "/a/b"

	registeredIn atomic.Int64 // the session in which RegisterBroker last succeeded, or 0

	limit    sizeLimit
	inFlight chan struct{} // one token for each request that is out
	requests sync.WaitGroup
	events   eventQueue
	loop     sync.WaitGroup // run, and sessions being closed
	quit     chan struct{}  // closed by Close

	mu struct {
		sync.Mutex
		session     *session
		expiring    bool // session has expired, and not every subscriber knows
		closed      bool
		changed     chan struct{} // closed and replaced when any of the above, or connected, changes
		subscribers []*Subscriber
	}
}

// Subscriber hears of what becomes of connection and session. All functions are called on the
// Client's event goroutine, one after the other; nil ones are left out.
type Subscriber struct {
	// Disconnected is called when the connection is lost. The session may live on.
	Disconnected func()
	// Connected is called when the connection is back and the session has survived.
	Connected func()
	// Expired is called when the session is found to be dead, before there is another one: whoever
	// holds a claim by an ephemeral node, such as the controller's, must have stopped acting on it
	// when Expired returns (beforeInitializingSession).
	Expired func()
	// Renewed is called when there is a new session: register again, read again with watches
	// (afterInitializingSession).
	Renewed func(sessionID int64)
}

// Connect makes a Client, waits for its first session, and creates the chroot if it does not exist (but see
// Options.KeepChroot).
func Connect(ctx context.Context, opts Options) (*Client, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	servers, chroot, err := ParseConnect(opts.Connect)
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts:     opts,
		log:      opts.Logger,
		servers:  servers,
		chroot:   chroot,
		inFlight: make(chan struct{}, opts.MaxInFlight),
		quit:     make(chan struct{}),
	}
	c.events.init()
	c.mu.changed = make(chan struct{})
	c.log.WithField("servers", opts.Connect).WithField("timeout", opts.ConnectionTimeout).Info("connecting to ZooKeeper")
	first, err := c.newSession()
	if err != nil {
		return nil, fmt.Errorf("connect to ZooKeeper: %w", err)
	}
	c.loop.Go(c.run)

	ctx, cancel := context.WithTimeout(ctx, opts.ConnectionTimeout)
	defer cancel()
	if _, err := c.acquire(ctx, nil); err != nil {
		if refusal := first.refusal(); refusal != nil {
			err = fmt.Errorf("%w; the last attempt failed: %w", err, refusal)
		}
		c.Close()
		return nil, fmt.Errorf("timed out waiting %v for the connection to ZooKeeper %s: %w", opts.ConnectionTimeout, opts.Connect, err)
	}
	if err := c.createChroot(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("chroot %s: %w", chroot, err)
	}
	return c, nil
}

// createChroot makes the components of the chroot that are missing, without data, if that is wanted.
func (c *Client) createChroot(ctx context.Context) error {
	if c.chroot == "" {
		return nil
	}
	exists := Op{kind: kindExists, raw: true, path: c.chroot}
	if r := c.do(ctx, exists, false); r.Err != nil || r.Exists {
		return r.Err
	}
	if c.opts.KeepChroot {
		return &Error{Op: exists.kind.String(), Path: c.chroot, Err: ErrNoNode}
	}
	for i := 1; i <= len(c.chroot); i++ {
		if i < len(c.chroot) && c.chroot[i] != '/' {
			continue
		}
		create := Op{kind: kindCreate, raw: true, path: c.chroot[:i]}
		if r := c.do(ctx, create, false); r.Err != nil && !isNodeExists(r.Err) {
			return r.Err
		}
	}
	return nil
}

// Close ends the session, so that its ephemeral nodes vanish at once; other nodes stay. Operations
// under way fail with ErrClosed. It returns when no goroutine of the Client is left, and must not be
// called from a callback. Without a connection it takes a second, and the session dies by its timeout.
func (c *Client) Close() {
	c.mu.Lock()
	if c.mu.closed {
		c.mu.Unlock()
		c.loop.Wait()
		return
	}
	c.mu.closed = true
	s := c.mu.session
	c.changedLocked()
	c.mu.Unlock()
	close(c.quit)
	s.close()
	c.loop.Wait()
	c.requests.Wait()
}

// SessionID returns the id of the session, or 0 while there is none. An ephemeral node is this
// Client's if its Stat.EphemeralOwner is this id.
func (c *Client) SessionID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.expiring {
		return 0
	}
	return c.mu.session.id()
}

// Connected reports whether there is a connection now.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.session.connected
}

// Chroot returns the chroot, "" for none.
func (c *Client) Chroot() string { return c.chroot }

// SessionTimeout returns the session timeout that was asked for.
func (c *Client) SessionTimeout() time.Duration { return c.opts.SessionTimeout }

// Subscribe has s called from the next event on. Subscribers are called in the order in which they
// subscribed. Cancel ends that; a call under way is not waited for.
func (c *Client) Subscribe(s Subscriber) (cancel func()) {
	subscriber := &s
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.subscribers = append(c.mu.subscribers[:len(c.mu.subscribers):len(c.mu.subscribers)], subscriber)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		var rest []*Subscriber
		for _, have := range c.mu.subscribers {
			if have != subscriber {
				rest = append(rest, have)
			}
		}
		c.mu.subscribers = rest
	}
}

// sessionKey is the context key of WithSession.
type sessionKey struct{}

// WithSession returns a context whose operations fail with ErrSessionExpired unless they are done in
// the session with the given id. What is done under a claim, such as that of the controller, is done
// with such a context, so that it can not slip into the session after.
func WithSession(ctx context.Context, id int64) context.Context {
	return context.WithValue(ctx, sessionKey{}, id)
}

// acquire waits for a connection and returns the session to send on: bound if that is not nil, and
// else the session of the moment of the call, even if it has no connection then. An operation never
// changes its session.
func (c *Client) acquire(ctx context.Context, bound *session) (*session, error) {
	want, pinned := ctx.Value(sessionKey{}).(int64)
	for {
		c.mu.Lock()
		s, changed := c.mu.session, c.mu.changed
		if bound == nil {
			bound = s
		}
		closed, connected := c.mu.closed, s.connected
		expired := c.mu.expiring || s != bound || pinned && s.id() != want
		c.mu.Unlock()
		switch {
		case closed:
			return nil, ErrClosed
		case expired:
			return nil, ErrSessionExpired
		case connected:
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrDisconnected, ctx.Err())
		}
	}
}

// changedLocked wakes all who wait in acquire. It requires mu.
func (c *Client) changedLocked() {
	close(c.mu.changed)
	c.mu.changed = make(chan struct{})
}

// full returns the path on the server of a path of this Client.
func (c *Client) full(path string) string {
	if c.chroot == "" {
		return path
	}
	if path == "/" {
		return c.chroot
	}
	return c.chroot + path
}

// strip returns what a path on the server is called by this Client.
func (c *Client) strip(path string) string {
	if path == c.chroot {
		return "/"
	}
	return strings.TrimPrefix(path, c.chroot)
}
