package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// Why what is asked of the controller is refused.
var (
	// ErrNotActive: this broker is not the controller, or ceased to be.
	ErrNotActive = errors.New("not the active controller")
	// ErrStaleBrokerEpoch: the request is of an earlier registration of the broker.
	ErrStaleBrokerEpoch = errors.New("broker epoch is older than the registration's")
	// ErrUnknownBroker: the broker is not registered.
	ErrUnknownBroker = errors.New("broker is not registered")
)

// ControlledShutdown makes ready for the end of a broker that says it is about to stop
// (KafkaController.doControlledShutdown): what it leads and others can lead, they lead from now on, and
// of the rest it leaves the ISRs. Until its registration is gone it is not chosen for anything. It returns
// the replicated partitions that it still leads, which is nobody else's to lead. epoch is that of the
// broker's registration, -1 if the broker does not say.
//
// Errors: ErrNotActive, ErrStaleBrokerEpoch, ErrUnknownBroker, ctx's.
func (c *Controller) ControlledShutdown(ctx context.Context, broker int32, epoch int64) ([]topic.Partition, error) {
	type result struct {
		remaining []topic.Partition
		err       error
	}
	done := make(chan result, 1)
	c.queue.put(event{
		name: fmt.Sprintf("ControlledShutdown(%d)", broker),
		run: func(ctx context.Context) error {
			if c.term == nil {
				done <- result{err: ErrNotActive}
				return nil
			}
			remaining, err := c.term.core.controlledShutdown(zkutil.WithSession(ctx, c.term.session), broker, epoch)
			if errors.Is(err, ErrMoved) {
				done <- result{err: ErrNotActive}
				return err
			}
			done <- result{remaining, err}
			return nil
		},
		dropped: func() { done <- result{err: ErrNotActive} },
	})
	select {
	case r := <-done:
		return r.remaining, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *core) controlledShutdown(ctx context.Context, broker int32, epoch int64) ([]topic.Partition, error) {
	registered := c.registration(broker)
	switch {
	case registered == nil:
		return nil, ErrUnknownBroker
	case epoch >= 0 && epoch < registered.Epoch:
		return nil, ErrStaleBrokerEpoch
	}
	c.log.WithField("broker", broker).Info("Shutting down broker")
	c.shuttingDown[broker] = true
	if c.dead[broker] != nil {
		return nil, nil // it leads nothing any more
	}
	var led []*partition
	var followed []replica
	for _, r := range c.replicasOn([]int32{broker}) {
		switch {
		case len(r.Replicas) < 2 || r.leadership == nil || r.topic.queued:
		case r.leadership.Leader == broker:
			led = append(led, r.partition)
		default:
			followed = append(followed, r)
		}
	}
	if _, err := c.bringOnline(ctx, led, c.electOther); err != nil {
		return nil, err
	}
	if err := c.takeReplicasOffline(ctx, followed, nil); err != nil {
		return nil, err
	}
	var remaining []topic.Partition
	for _, p := range led {
		if p.leadership.Leader == broker {
			remaining = append(remaining, p.Partition)
		}
	}
	return remaining, nil
}

// electOther is the strategy for partitions whose leader is shutting down: the first replica, in the order of
// the assignment, that is in the ISR and stays. Brokers that are shutting down leave the ISR, but hear who
// leads now.
func (c *core) electOther(p *partition, old *leadership, online func(int32) bool) (*leadership, []int32, bool) {
	registered := keep(p.Replicas, func(id int32) bool { return c.registered(id, p) })
	for _, id := range registered {
		if online(id) && slices.Contains(old.ISR, id) {
			isr := keep(old.ISR, func(id int32) bool { return !c.shuttingDown[id] })
			return old.led(id, isr, old.Recovering), registered, true
		}
	}
	return nil, registered, false
}
