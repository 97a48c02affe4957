package network

import (
	"errors"
	"fmt"
	"slices"
)

// SetListeners makes listeners those that the server listens on: others are closed, and new ones are opened. One
// whose name stays keeps its address, too, as in Kafka: its connections would be lost. The connections of a listener
// that is closed are answered what was read from them, and end. An error says which listeners could not be opened;
// the others are.
func (s *Server) SetListeners(listeners []Listener) error {
	if err := checkListeners(listeners); err != nil {
		return err
	}
	s.mu.Lock()
	if s.mu.stopped || len(s.mu.listeners) == 0 {
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
	s.admission.listen(listeners)
	var errs []error
	for _, wanted := range listeners {
		if slices.ContainsFunc(s.mu.listeners, func(l *listener) bool { return l.Name == wanted.Name }) {
			continue
		}
		l, err := s.open(wanted)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.mu.listeners = append(s.mu.listeners, l)
		if s.mu.started {
			s.acceptors.Go(l.accept)
		}
		s.opts.Logger.WithField("listener", wanted.Name).WithField("address", l.tcp.Addr()).Info("Listening")
	}
	s.mu.Unlock()
	for _, c := range s.opened() {
		if slices.Contains(gone, c.lst) {
			c.drain()
		}
	}
	for _, l := range gone {
		s.opts.Logger.WithField("listener", l.Name).WithField("address", l.tcp.Addr()).Info("Stopped listening")
	}
	return errors.Join(errs...)
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
