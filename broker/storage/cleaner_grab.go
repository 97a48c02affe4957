package storage

import (
	"errors"
)

// grabbed is a log that is being cleaned.
type grabbed struct {
	candidate
	abort <-chan struct{} // closed when that is to end
	// delayed, delayMs: how many logs are overdue because of max.compaction.lag.ms, and the longest for how long;
	// cleanable: how many were to be chosen from.
	cleanable, delayed int
	maxDelayMs         int64
}

// grab chooses the log that is to be cleaned next, and begins with it; nil: none
// (LogCleanerManager.grabFilthiestCompactedLog).
func (c *cleaner) grab(now int64) *grabbed {
	c.grabbing.Lock()
	defer c.grabbing.Unlock()
	var g grabbed
	for log := range c.m.Logs() {
		if !c.mayClean(log) {
			continue
		}
		abort, ok := c.states.begin(log.partition)
		if !ok {
			continue
		}
		if !c.better(&g, log, abort, now) {
			c.states.end(log.partition)
		}
	}
	if g.log == nil {
		return nil
	}
	return &g
}

// better makes log, which has begun, the best so far if it is.
func (c *cleaner) better(g *grabbed, log *Log, abort <-chan struct{}, now int64) bool {
	if !c.mayClean(log) { // that may have changed until it began
		return false
	}
	next, err := log.candidate(now)
	if err != nil {
		if err = log.readFailed("look what is dirty", err); !errors.Is(err, ErrStorage) {
			c.markUncleanable(log, err)
		}
		return false
	}
	next.correct()
	if next.delayMs > 0 {
		g.delayed++
		g.maxDelayMs = max(g.maxDelayMs, next.delayMs)
	}
	if next.empty() || !next.due() {
		return false
	}
	g.cleanable++
	if g.log != nil && next.ratio() <= g.ratio() {
		return false
	}
	if g.log != nil {
		c.states.end(g.log.partition)
	}
	g.candidate, g.abort = next, abort
	return true
}

// mayClean reports whether the log is one that is cleaned. One that is being copied to another directory is not.
func (c *cleaner) mayClean(log *Log) bool {
	return log.config.Load().Compact && !log.uncleanable.Load() && log.readable() == nil && c.m.Future(log.partition) == nil
}
