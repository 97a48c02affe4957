package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// SetListeners makes listeners those that the server listens on: others are closed, and new ones are opened. One
// whose name stays keeps its address, too, as in Kafka: its connections would be lost. The connections of a listener
// that is closed are answered what was read from them, and end. An error says which listeners could not be opened;
// the others are. It must not be called again before it returns; ctx ends the looking up of hosts.
func (s *Server) SetListeners(ctx context.Context, listeners []Listener) error {
	if err := checkListeners(listeners); err != nil {
		return err
	}
	s.mu.Lock()
	if s.mu.stopped || !s.mu.bound {
		s.mu.Unlock()
		return errors.New("network: SetListeners before Bind or after Shutdown")
	}
	var gone []*listener
	s.mu.listeners = slices.DeleteFunc(s.mu.listeners, func(l *listener) bool {
		stays := slices.ContainsFunc(listeners, func(wanted Listener) bool { return wanted.Name == l.Name })
		if !stays {
			gone = append(gone, l)
			l.closeLocked()
		}
		return !stays
	})
	missing := slices.DeleteFunc(slices.Clone(listeners), func(wanted Listener) bool {
		return slices.ContainsFunc(s.mu.listeners, func(l *listener) bool { return l.Name == wanted.Name })
	})
	s.admission.listen(listeners)
	s.mu.Unlock()
	for _, c := range s.opened() {
		if slices.Contains(gone, c.lst) {
			c.drain()
		}
	}
	for _, l := range gone {
		s.opts.Logger.WithField("listener", l.Name).WithField("address", l.tcp.Addr()).Info("Stopped listening")
	}
	var errs []error
	for _, wanted := range missing {
		errs = append(errs, s.listen(ctx, wanted))
	}
	return errors.Join(errs...)
}

// listen adds a listener. It does not hold mu while the port is opened: its host is looked up.
func (s *Server) listen(ctx context.Context, wanted Listener) error {
	l, err := s.open(ctx, wanted)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped {
		l.closeLocked()
		return fmt.Errorf("listener %s: %w", wanted.Name, errStopped)
	}
	s.mu.listeners = append(s.mu.listeners, l)
	if s.mu.started {
		s.acceptors.Go(l.accept)
	}
	s.opts.Logger.WithField("listener", wanted.Name).WithField("address", l.tcp.Addr()).Info("Listening")
	return nil
}

// closeLocked ends the listener's accepting; no connection that it has accepted is served from now on. It requires
// the server's mu.
func (l *listener) closeLocked() {
	if !l.closed {
		l.closed = true
		close(l.done)
		l.tcp.Close()
	}
}

// checkListeners refuses listeners that cannot be opened.
func checkListeners(listeners []Listener) error {
	names := map[string]bool{}
	for _, l := range listeners {
		switch {
		case l.Name == "" || names[l.Name]:
			return fmt.Errorf("network: each listener needs a name of its own: %q", l.Name)
		case l.Protocol != "PLAINTEXT":
			return fmt.Errorf("network: listener %s: security protocol %q is not supported", l.Name, l.Protocol)
		case l.Port < 0 || l.Port > 65535:
			return fmt.Errorf("network: listener %s: port %d", l.Name, l.Port)
		}
		names[l.Name] = true
	}
	return nil
}
