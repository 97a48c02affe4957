package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Beat sends the heartbeats of all members of groups, each member's in an interval and at a moment of its own,
// for a time. A member that is told of a rebalance is an error.
func Beat(ctx context.Context, groups []*Group, every, d time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for _, g := range groups {
		for _, m := range g.Members {
			wg.Go(func() {
				if err := m.beat(ctx, every, end); err != nil {
					cancel(err)
				}
			})
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (m *Member) beat(ctx context.Context, every time.Duration, end time.Time) error {
	due := time.NewTimer(rand.N(every))
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case now := <-due.C:
			if now.After(end) {
				return nil
			}
		}
		due.Reset(every)
		told, err := m.heartbeat(ctx)
		if err == nil && told {
			err = fmt.Errorf("group %s rebalances", m.group.ID)
		}
		if err != nil {
			return err
		}
	}
}
