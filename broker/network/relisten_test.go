package network

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"
)

// TestListenersChange: listeners come and go while the server runs; what stays is not disturbed.
func TestListenersChange(t *testing.T) {
	box := new(inbox)
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyLater, false, box.handle), nil)
	first := Listener{Name: s.opts.Listeners[0].Name, Protocol: "PLAINTEXT", Host: "127.0.0.1", InterBroker: true}
	second := Listener{Name: "SECOND", Protocol: "PLAINTEXT", Host: "127.0.0.1"}
	stays := s.dial()
	if err := s.SetListeners(t.Context(), []Listener{first, second}); err != nil {
		t.Fatal(err)
	}
	endpoints := s.Endpoints()
	if len(endpoints) != 2 || endpoints[1].Listener != "SECOND" || endpoints[1].Port == 0 {
		t.Fatalf("listening on %+v", endpoints)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(endpoints[1].Port))
	other := *s
	other.addr = address
	asking := other.dial()
	asking.send(frame(keyLater, 0, 1, []byte("held")))
	held := box.take(t, 1)[0]
	if got := s.Connections()["SECOND"]; got != 1 {
		t.Errorf("%d connections of the new listener", got)
	}

	// The new listener goes while a request of it is in work: that is answered before the connection ends.
	if err := s.SetListeners(t.Context(), []Listener{first}); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		conn.Close()
		t.Error("a listener that is gone takes connections")
	}
	held.Reply(raw("answer"))
	asking.expect(1, "answer")
	asking.expectClosed()
	stays.send(frame(keyEcho, 0, 2, []byte("still")))
	stays.expect(2, "still")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	second.Port = taken.Addr().(*net.TCPAddr).Port
	if err := s.SetListeners(t.Context(), []Listener{first, second}); err == nil {
		t.Error("a port in use is not reported")
	}
	if err := s.SetListeners(t.Context(), []Listener{first, first}); err == nil {
		t.Error("two listeners of a name are accepted")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.SetListeners(ended, []Listener{first, {Name: "THIRD", Protocol: "PLAINTEXT", Host: "name.invalid"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a host is looked up after the end of the context: %v", err)
	}
	// A change that leaves no listener open can be followed by another one.
	if err := s.SetListeners(t.Context(), []Listener{second}); err == nil || len(s.Endpoints()) > 0 {
		t.Errorf("a port in use is opened as %+v", s.Endpoints())
	}
	taken.Close()
	if err := s.SetListeners(t.Context(), []Listener{second}); err != nil {
		t.Fatal(err)
	}
	stays.expectClosed()
	if endpoints := s.Endpoints(); len(endpoints) != 1 || endpoints[0].Port != second.Port {
		t.Errorf("listening on %+v", endpoints)
	}
}
