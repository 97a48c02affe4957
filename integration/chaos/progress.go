package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// acknowledged is the last commit that was acknowledged.
type acknowledged struct {
	offset int64
	at     time.Time
}

// moment is a moment of a commit that a fault may wait for.
type moment int

const (
	commitBegins moment = iota
	commitAcked
	moments
)

var momentNames = [moments]string{"a commit is on its way", "a commit was just acknowledged"}

// passes tells who waits for it that a moment has come.
func (g *group) passes(m moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passesLocked(m)
}

// passesLocked requires mu.
func (g *group) passesLocked(m moment) {
	close(g.mu.moments[m])
	g.mu.moments[m] = make(chan struct{})
}

// await returns when a moment comes, and says whether it did.
func (g *group) await(m moment, limit time.Duration) string {
	g.mu.Lock()
	comes := g.mu.moments[m]
	g.mu.Unlock()
	select {
	case <-comes:
		return momentNames[m]
	case <-time.After(limit):
		return "nobody commits"
	}
}

// acked notes what was acknowledged.
func (g *group) acked(e groups.Event) {
	g.recorder.Add(e)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passesLocked(commitAcked)
	for _, p := range e.Parts {
		g.mu.committed[p.Partition] = acknowledged{p.Offset, time.Now()}
	}
}

// stalled says for which partitions no commit was acknowledged since a time; nothing is all right.
func (g *group) stalled(since time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, part := range g.partitions() {
		if g.mu.committed[part].at.Before(since) {
			return fmt.Sprintf("group %s has committed nothing of %v", g.name, part)
		}
	}
	return ""
}

// behind says which partitions are not committed to their ends; nothing is all right.
func (g *group) behind(ends map[history.Partition]int64) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, part := range g.partitions() {
		if c := g.mu.committed[part]; c.offset != ends[part] {
			return fmt.Sprintf("group %s has committed %d of %d in %v", g.name, c.offset, ends[part], part)
		}
	}
	return ""
}

// audit asks for the committed offsets from outside, when all is well.
func (g *group) audit(ctx context.Context, admin *kadm.Client) error {
	for {
		begun := g.recorder.Now()
		try, cancel := context.WithTimeout(ctx, operatorTimeout)
		offsets, err := admin.FetchOffsets(try, g.name)
		cancel()
		if err == nil {
			err = offsets.Error()
		}
		if err == nil {
			e := groups.Event{Kind: groups.Fetched, Group: g.name, Begun: begun, Generation: groups.Outside, Broker: groups.UnknownBroker}
			for _, part := range g.partitions() {
				p := groups.Part{Partition: part, Offset: -1}
				if o, ok := offsets.Lookup(part.Topic, part.Index); ok {
					p.Offset = o.At
				}
				e.Parts = append(e.Parts, p)
			}
			g.recorder.Add(e)
			return nil
		}
		if rest(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("offsets of group %s: %w; last error: %w", g.name, context.Cause(ctx), err)
		}
	}
}
