package controller

import (
	"context"
	"errors"

	"github.com/gregor-mq/gregor/zkutil"
)

// ask queues an event for somebody who waits for an answer: run gives it, and if it cannot, or is not run at
// all, refuse does, with the reason: ErrNotActive if this broker is not the controller or ceased to be.
// Exactly one of the two answers, on the loop's goroutine or on that of whoever drops the event, so
// that neither may block.
func (c *Controller) ask(name string, run func(ctx context.Context, core *core) error, refuse func(error)) {
	c.queue.put(event{
		name: name,
		run: func(ctx context.Context) error {
			if c.term == nil {
				refuse(ErrNotActive)
				return nil
			}
			err := run(zkutil.WithSession(ctx, c.term.session), c.term.core)
			switch {
			case err == nil:
			case errors.Is(err, ErrMoved), errors.Is(err, zkutil.ErrSessionExpired), errors.Is(err, zkutil.ErrClosed), ctx.Err() != nil:
				refuse(ErrNotActive)
			default:
				refuse(err)
			}
			return err
		},
		dropped: func() { refuse(ErrNotActive) },
	})
}

// given is what a Controller was asked for, or why it does not give it.
type given[T any] struct {
	value T
	err   error
}

// askFor has the active controller run an event, and waits for its answer.
func askFor[T any](ctx context.Context, c *Controller, name string, run func(ctx context.Context, core *core) (T, error)) (T, error) {
	answers := make(chan given[T], 1)
	c.ask(name, func(ctx context.Context, core *core) error {
		value, err := run(ctx, core)
		if err == nil {
			answers <- given[T]{value: value}
		}
		return err
	}, func(err error) { answers <- given[T]{err: err} })
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
