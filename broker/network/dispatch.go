package network

import (
	"fmt"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// dispatchAll handles the whole frames that have been read.
func (c *conn) dispatchAll() error {
	err := c.dispatchFrames()
	c.handleGathered()
	return err
}

func (c *conn) dispatchFrames() error {
	for {
		frame, ok, err := c.in.next(c.srv.opts.MaxRequestBytes)
		if err != nil {
			return &protocolError{err}
		}
		// The bytes of a frame count from when its length is known, until its handler returns.
		if c.held == 0 && (ok || c.in.need > 0) && c.srv.queued.limited() {
			n := int64(max(len(frame), c.in.need))
			if !c.srv.queued.tryReserve(n) {
				c.uncork()
				frame = c.in.compact(frame)
				if !c.srv.queued.reserve(n, c.done) {
					return errStopped
				}
			}
			c.held = n
		}
		if !ok {
			return nil
		}
		if err := c.dispatch(frame); err != nil {
			return err
		}
		if c.held > 0 {
			c.handleGathered() // for what counts is counted frame by frame
		}
	}
}

// dispatch runs the handler of the request in frame.
func (c *conn) dispatch(frame []byte) error {
	s, route, err := c.parse(frame)
	if err != nil {
		return &protocolError{err}
	}
	s.heavy = route.Blocks // its answer will be
	if len(c.gathered) > 0 && (c.gathered[0].route != route || len(c.gathered) == corkMax) {
		c.handleGathered()
	}
	if err := c.admit(s); err != nil {
		return err
	}
	switch {
	case route.Blocks:
		return c.handOver(s)
	case route.HandleAll != nil:
		c.gathered = append(c.gathered, s)
		return nil
	}
	c.handle(s)
	s.free()
	c.srv.queued.release(c.held)
	c.held = 0
	return nil
}

// parse makes a slot of a frame.
func (c *conn) parse(frame []byte) (*slot, *request.Route, error) {
	h, body, err := wire.ParseHeader(frame)
	if err != nil {
		return nil, nil, fmt.Errorf("key %d, version %d: %w", h.Key, h.Version, err)
	}
	route := c.srv.opts.Router.Route(h.Key)
	switch {
	case route == nil:
		return nil, nil, fmt.Errorf("key %d, version %d: %w", h.Key, h.Version, wire.ErrUnknownKey)
	case (h.Version < route.Min || h.Version > route.Max) && h.Key != wire.KeyApiVersions:
		return nil, nil, fmt.Errorf("%s v%d: %w", route.Name, h.Version, wire.ErrUnsupportedVersion)
	}
	if c.client != string(h.ClientID) {
		c.client = wire.Intern(h.ClientID)
	}
	s := newSlot(c)
	s.Key, s.Version, s.CorrelationID = h.Key, h.Version, h.CorrelationID
	s.ClientID, s.Conn, s.Received = c.client, &c.info, c.received
	s.Size, s.Body = len(frame), body
	s.route = route
	return s, route, nil
}
