package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/zkutil"
)

// census is what a broker that is not the controller knows of the registrations, so as to watch all brokers. Each is read once, and
// again when its node has changed. Only the loop touches it.
type census struct {
	zk    *zookeeper
	known map[int32]*zkutil.Broker
}

// newCensus returns the empty census.
func (c *Controller) newCensus() *census {
	watcher := zkutil.NewWatcher(func(e zkutil.Event) {
		id, ok := brokerIDOf(e.Path)
		if !ok {
			c.put("Census", c.watchBrokers)
			return
		}
		c.put(fmt.Sprintf("Census(%d)", id), func(ctx context.Context) error {
			delete(c.census.known, id)
			return c.watchBrokers(ctx)
		})
	})
	return &census{zk: &zookeeper{client: c.opts.ZK, watcher: watcher}}
}

// watchBrokers has all registered brokers watched, unless this one is the controller, which sees to that itself.
func (c *Controller) watchBrokers(ctx context.Context) error {
	if c.vigil == nil || c.term != nil {
		return nil
	}
	registered, err := readBrokers(ctx, c.census.zk, c.census.known, c.log)
	if err != nil {
		return err
	}
	c.census.known = registered
	c.lookout().Watch(slices.Collect(maps.Values(registered)))
	return nil
}
