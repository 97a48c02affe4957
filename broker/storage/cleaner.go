package storage

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A cleaner compacts the logs of topics whose cleanup.policy contains compact (Kafka's LogCleaner).
//
// log.cleaner.threads goroutines do the same over and over, and pause for log.cleaner.backoff.ms whenever they find
// nothing to clean:
//
//	grab     of all compacted logs that are not at work the one whose dirty part has the largest share of it, if that
//	         is enough, or if the log is overdue (cleaner_select.go)
//	index    the last offset of each key of the dirty part, as far as the memory for keys goes (compact.Index)
//	clean    all segments up to there, in groups that make one segment each: copy what is left to a new segment,
//	         sync it, swap it in (clean_group.go, swap.go)
//	done     the offset up to which the log is clean goes to cleaner-offset-checkpoint
//	trim     retention, for all compacted logs, which others leave to the cleaner
//
// Memory is taken for a cleaning and given back after it: for keys not more than the dirty part can need and
// log.cleaner.dedupe.buffer.size allows, and two buffers that grow to the largest batch.
//
// What else changes the segments of a log keeps the cleaner away meanwhile, see cleanerStates.
//
// # What a crash leaves
//
// Old or new segments, never a part of a new one or both (see replaceSegments). Before the first swap of a log it is
// flushed up to where it is cleaned, and the recovery point on disk says so, so that no start has to check whether a
// cleaned segment is whole: gaps between offsets could not be told from loss. For the same reason a log gets its
// entry in cleaner-offset-checkpoint before its first cleaning: from then on it is known to have gaps, whatever its
// policy becomes. The entry follows a truncation down before the log takes other records, so that nothing dirty counts
// as clean; if it is behind, what is clean is looked at once more.
//
// # What fails
//
// An error of the disk takes the directory offline. Bytes that are no records, or batches that no segment of ours could
// have (from more than 2^31 offsets on one, which Kafka splits), mark the log as uncleanable until the broker restarts:
// it is served as it is, and grows.
type cleaner struct {
	m        *Manager
	states   *cleanerStates
	throttle throttle
	grabbing sync.Mutex // held while one log is chosen

	threads sync.Mutex // held while the goroutines are exchanged; guards what follows
	config  CleanerConfig
	running bool
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// newCleaner returns a cleaner that does nothing by itself until start.
func newCleaner(m *Manager, config CleanerConfig) *cleaner {
	config.setDefaults()
	c := &cleaner{m: m, states: newCleanerStates(), config: config, cancel: func() {}}
	c.throttle.setRate(config.MaxBytesPerSecond)
	return c
}

// start begins the cleaning, unless that was done.
func (c *cleaner) start() {
	c.threads.Lock()
	defer c.threads.Unlock()
	if c.running {
		return
	}
	c.running = true
	c.startLocked()
}

// startLocked requires threads.
func (c *cleaner) startLocked() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	config := c.config
	for id := range config.Threads {
		c.wg.Go(func() { c.run(ctx, id, &config) })
	}
}

// stop ends the goroutines, and what they are at.
func (c *cleaner) stop() {
	c.threads.Lock()
	defer c.threads.Unlock()
	c.cancel()
	c.wg.Wait()
	c.running = false
}

// setConfig has the cleaning go on by another configuration. What is under way is given up if that is another one.
func (c *cleaner) setConfig(config CleanerConfig) {
	config.setDefaults()
	c.threads.Lock()
	defer c.threads.Unlock()
	if config == c.config {
		return
	}
	c.config = config
	c.throttle.setRate(config.MaxBytesPerSecond)
	if !c.running {
		return
	}
	c.cancel()
	c.wg.Wait()
	c.startLocked()
}

// SetCleaner changes Options.Cleaner. Without a cleaner it does nothing.
func (m *Manager) SetCleaner(config CleanerConfig) {
	if c := m.env.cleaner; c != nil {
		c.setConfig(config)
	}
}

// run is one of the cleaner's goroutines. It ends when ctx does.
func (c *cleaner) run(ctx context.Context, id int, config *CleanerConfig) {
	for ctx.Err() == nil {
		if c.once(ctx, id, config) {
			continue
		}
		wait := time.NewTimer(config.Backoff)
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

// once cleans the dirtiest log, if any is to be cleaned, and removes old segments of all compacted logs. It reports
// whether a log was cleaned.
func (c *cleaner) once(ctx context.Context, id int, config *CleanerConfig) bool {
	cleaned := false
	if g := c.grab(c.m.env.nowMs()); g != nil {
		x := newCleaning(ctx, c, id, config, g)
		cleaned = c.done(x, x.run())
		c.states.end(g.log.partition)
	}
	c.trim(ctx)
	return cleaned
}

// done notes how a cleaning has ended.
func (c *cleaner) done(x *cleaning, err error) bool {
	log := x.log
	switch {
	case err == nil:
		log.cleaned.Store(x.upTo)
		if log.dir.checkpointCleaned() == nil { // a failure is logged there
			x.report()
		}
		return x.upTo > x.firstDirty
	case errors.Is(err, errAborted):
		c.m.opts.CleanerLogger.Infof("The cleaning of log %s was aborted", log.partition)
		return true
	case errors.Is(err, ErrStorage), errors.Is(err, ErrClosed):
	default:
		c.markUncleanable(log, err)
	}
	return false
}

// markUncleanable has the log not be cleaned any more.
func (c *cleaner) markUncleanable(log *Log, err error) {
	log.uncleanable.Store(true)
	c.m.opts.CleanerLogger.WithError(err).Warnf("Unexpected error when cleaning log %s in %s. Marking its partition as uncleanable",
		log.partition, log.dir.path)
}

// trim removes old segments of compacted logs: those below the log's start, and, if the policy says delete as well,
// what is too old or too much. Nobody else does, so that nobody does while they are cleaned. Whoever wants a log for something else
// waits for one segment at most: what is left is for the next time.
func (c *cleaner) trim(ctx context.Context) {
	for log := range c.m.Logs() {
		if ctx.Err() != nil {
			return
		}
		if !c.mayClean(log) {
			continue
		}
		abort, ok := c.states.begin(log.partition)
		if !ok {
			continue
		}
		var err error
		if c.mayClean(log) {
			_, err = log.deleteOldSegmentsWhile(c.m.env.nowMs(), func() bool { return ctx.Err() == nil && !isClosed(abort) })
		}
		c.states.end(log.partition)
		if err != nil && !errors.Is(err, ErrStorage) && !errors.Is(err, ErrClosed) {
			c.markUncleanable(log, err)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
