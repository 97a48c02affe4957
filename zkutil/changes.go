package zkutil

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// ChangesOptions configure Changes; a zero field takes the default named beside it.
type ChangesOptions struct {
	Client *Client // required
	// Path is where the notes are left, Prefix how their names begin: /config/changes and config_change_.
	Path, Prefix string
	// Handle is given the contents of each note, in the order in which they were left, and reads what the
	// note is about. Whoever leaves many equal notes at a time has it called once for them. An error is
	// logged, and the note has been handled, unless it is the session that has ended: then it comes again.
	Handle func(ctx context.Context, data []byte) error
	// Renewed is called for each session after the first, before its notes are handled: notes may have
	// come and gone meanwhile, so that what they are about must be read anew. Errors are as those of
	// Handle: nothing.
	Renewed func(ctx context.Context) error
	// Expiry is the age from which on notes are deleted, by whichever broker sees them: 15 min.
	Expiry time.Duration
	Logger logrus.FieldLogger // no log
}

// Changes follows a directory of sequential nodes, in which whoever changes something leaves a note for all
// brokers (ZkNodeChangeNotificationListener). The notes that are there at the start are handled too: what
// they are about may have been read before they came.
//
// One goroutine, run, handles notes; the watch and the session only wake it.
type Changes struct {
	opts    ChangesOptions
	log     logrus.FieldLogger
	wake    chan struct{} // capacity 1
	watcher *Watcher
	unhook  func()
	cancel  context.CancelFunc
	loop    sync.WaitGroup

	last int64 // the number of the last note that was handled; run's

	mu      sync.Mutex
	renewed bool // there is a new session that Renewed has not been called for
}

// changesRetry is the pause after notes could not be read, for another reason than the end of the session.
const changesRetry = time.Second

// NewChanges returns Changes that follow nothing until Start.
func NewChanges(opts ChangesOptions) *Changes {
	if opts.Expiry == 0 {
		opts.Expiry = 15 * time.Minute
	}
	if opts.Renewed == nil {
		opts.Renewed = func(context.Context) error { return nil }
	}
	if opts.Logger == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		opts.Logger = silent
	}
	c := &Changes{opts: opts, log: opts.Logger.WithField("path", opts.Path), wake: make(chan struct{}, 1), last: -1}
	c.watcher = NewWatcher(func(Event) { c.awake() })
	return c
}

// Start begins with the notes that are there, and returns. It must be called once.
func (c *Changes) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.unhook = c.opts.Client.Subscribe(Subscriber{Renewed: func(int64) {
		c.mu.Lock()
		c.renewed = true
		c.mu.Unlock()
		c.awake()
	}})
	c.awake()
	c.loop.Go(func() { c.run(ctx) })
}

// Close ends it and waits for a Handle that runs, whose context is done. The Client must be closed after.
func (c *Changes) Close() {
	if c.cancel == nil {
		return // never started
	}
	c.watcher.Stop()
	c.unhook()
	c.cancel()
	c.loop.Wait()
}

func (c *Changes) awake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Changes) run(ctx context.Context) {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-retry:
		}
		retry = nil
		err := c.look(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrSessionExpired) { // the next session wakes c
			c.log.WithError(err).Error("Error while processing change notifications")
			retry = time.After(changesRetry)
		}
	}
}

// look handles what has changed since the last look, and deletes old notes.
func (c *Changes) look(ctx context.Context) error {
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	names, _, err := c.opts.Client.ChildrenW(ctx, c.opts.Path, c.watcher)
	if err != nil || len(names) == 0 {
		return err
	}
	slices.Sort(names)
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = Join(c.opts.Path, name)
	}
	notes := c.opts.Client.GetAll(ctx, paths)
	seen := map[string]bool{}
	for i := range notes {
		if err := c.handle(ctx, names[i], &notes[i], seen); err != nil {
			return err
		}
	}
	return c.purge(ctx, paths, notes)
}

// catchUp calls Renewed once for each new session.
func (c *Changes) catchUp(ctx context.Context) error {
	c.mu.Lock()
	renewed := c.renewed
	c.renewed = false
	c.mu.Unlock()
	if !renewed {
		return nil
	}
	err := c.opts.Renewed(ctx)
	if err != nil && !errors.Is(err, ErrSessionExpired) {
		c.mu.Lock()
		c.renewed = true
		c.mu.Unlock()
	}
	return err
}

// handle handles a note unless it, or an equal one of the same look, has been. What cannot be read is skipped.
func (c *Changes) handle(ctx context.Context, name string, note *Result, seen map[string]bool) error {
	number, err := SequenceNumber(name, c.opts.Prefix)
	if err != nil {
		c.log.WithError(err).Error("Ignoring a node that is no change notification")
		return nil
	}
	if number <= c.last || isNoNode(note.Err) {
		return nil
	}
	if note.Err != nil {
		return note.Err
	}
	if !seen[string(note.Data)] {
		err = c.opts.Handle(ctx, note.Data)
	}
	switch {
	case errors.Is(err, ErrSessionExpired) || ctx.Err() != nil:
		return err
	case err != nil:
		c.log.WithField("node", name).WithError(err).Error("Error processing a change notification")
	}
	seen[string(note.Data)] = true
	c.last = number
	return nil
}

// purge deletes the notes that every broker must have seen by now.
func (c *Changes) purge(ctx context.Context, paths []string, notes []Result) error {
	now := time.Now()
	var old []Op
	for i, n := range notes {
		if n.Err == nil && now.Sub(time.UnixMilli(n.Stat.Ctime)) > c.opts.Expiry {
			old = append(old, DeleteOp(paths[i], AnyVersion))
		}
	}
	for _, r := range c.opts.Client.Do(ctx, old...) {
		if r.Err != nil && !isNoNode(r.Err) {
			return r.Err
		}
	}
	return nil
}
