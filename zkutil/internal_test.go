package zkutil

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"
)

func TestACL(t *testing.T) {
	world := zk.ACL{Perms: zk.PermAll, Scheme: "world", ID: "anyone"}
	auth := zk.ACL{Perms: zk.PermAll, Scheme: "auth"}
	read := zk.ACL{Perms: zk.PermRead, Scheme: "world", ID: "anyone"}
	tests := []struct {
		path   string
		secure bool
		want   []zk.ACL
	}{
		{"/brokers/ids", false, []zk.ACL{world}},
		{"/consumers", true, []zk.ACL{world}},
		{"/brokers/ids", true, []zk.ACL{auth, read}},
		{"/config/topics/t", true, []zk.ACL{auth, read}},
		{"/config/users/u", true, []zk.ACL{auth}},
		{"/config/brokers/1", true, []zk.ACL{auth}},
		{"/delegation_token/tokens/x", true, []zk.ACL{auth}},
		{"/delegation_token/token_changes", true, []zk.ACL{auth, read}},
	}
	for _, tt := range tests {
		c := &Client{opts: Options{SetACL: tt.secure}}
		op := CreateOp(tt.path, nil)
		if diff := cmp.Diff(tt.want, c.acl(&op)); diff != "" {
			t.Errorf("%s, secure %v: (-want +got)\n%s", tt.path, tt.secure, diff)
		}
	}
}

// TestWatchesDoNotGrow reads the same node with the same watcher many times: only the first read may have
// go-zookeeper set a watch.
func TestWatchesDoNotGrow(t *testing.T) {
	var ws watches
	calls := 0
	w := NewWatcher(func(Event) { calls++ })
	data, exist := watchKey{"/a", watchData}, watchKey{"/a", watchExist}
	arming := 0
	for range 100 {
		p := ws.begin(w, data)
		if p.arms {
			arming++
		}
		p.end(watchData, true)
		both := ws.begin(w, data, exist) // of Exists
		if both.arms {
			t.Fatal("Exists sets a watch that is set")
		}
		both.end(watchData, true)
	}
	if arming != 1 || len(ws.keys) != 1 || !ws.anyArmed() {
		t.Errorf("%d watches set, %d keys", arming, len(ws.keys))
	}
	for range 2 {
		for _, w := range ws.take(DataChanged, "/a") {
			w.fire(Event{})
		}
	}
	if calls != 1 || len(ws.keys) != 0 || ws.anyArmed() {
		t.Errorf("%d calls, %d keys left", calls, len(ws.keys))
	}

	// A read that fails leaves nothing; an event before the answer calls the watcher and nothing is armed.
	p := ws.begin(w, data)
	p.end(watchData, false)
	if len(ws.keys) != 0 {
		t.Errorf("a failed read leaves %v", ws.keys)
	}
	p = ws.begin(w, data, exist)
	if got := ws.take(Created, "/a"); len(got) != 1 {
		t.Errorf("event before the answer calls %d", len(got))
	}
	p.end(watchExist, true)
	if ws.anyArmed() || len(ws.keys) != 0 {
		t.Errorf("left: %v", ws.keys)
	}
}

// TestTransportKeepsZxid checks that SetWatches goes out with the zxid of the connection's beginning.
func TestTransportKeepsZxid(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	setWatches, failed := 0, 0
	tr := newTransport(here, time.Second, func() { setWatches++ }, func() { failed++ })
	packets := make(chan []byte, 10)
	go func() {
		defer close(packets)
		for {
			buf := make([]byte, 100)
			n, err := there.Read(buf)
			if err != nil {
				return
			}
			packets <- buf[:n]
		}
	}()
	hello := make([]byte, 48)
	binary.BigEndian.PutUint64(hello[8:], 77)
	set := make([]byte, 40)
	binary.BigEndian.PutUint32(set[8:], opSetWatches)
	binary.BigEndian.PutUint64(set[12:], 99)
	ping := make([]byte, 12)
	for _, p := range [][]byte{hello, ping, set} {
		if n, err := tr.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	<-packets
	<-packets
	if sent := <-packets; binary.BigEndian.Uint64(sent[12:]) != 77 || setWatches != 1 {
		t.Errorf("sent %x, %d SetWatches", sent, setWatches)
	}
	if binary.BigEndian.Uint64(set[12:]) != 99 {
		t.Error("the caller's packet was changed")
	}
	tr.Close()
	tr.Close()
	<-packets
	if _, err := tr.Read(ping); err == nil || failed != 1 {
		t.Errorf("read of a closed connection: %v, told %d times", err, failed)
	}
}

func TestServersArePacedAndTakenInTurn(t *testing.T) {
	var s servers
	if err := s.Init([]string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	type attempt struct {
		address string
		pause   time.Duration
		rest    bool
	}
	try := func() attempt {
		address, rest := s.Next()
		return attempt{address, s.pause(), rest}
	}
	ms := time.Millisecond
	want := []attempt{
		{"a", 0, false}, {"b", 0, false}, {"a", 50 * ms, false}, {"b", 0, false}, {"a", 100 * ms, false}, {"b", 0, false},
		{"a", 200 * ms, false}, {"b", 0, false}, {"a", 400 * ms, false}, {"b", 0, false}, {"a", 0, true}, {"b", 0, false}, {"a", 0, true},
	}
	for i, want := range want {
		if got := try(); got != want {
			t.Errorf("attempt %d: %+v, want %+v", i, got, want)
		}
	}
	s.Connected()
	if got := try(); got != (attempt{"b", 0, false}) || s.Len() != 2 {
		t.Errorf("after a success: %+v", got)
	}
}

func TestConnectionLoss(t *testing.T) {
	for _, err := range []error{zk.ErrConnectionClosed, zk.ErrNoServer, &net.OpError{Op: "write", Err: errors.New("broken pipe")}} {
		if !isConnectionLoss(err) {
			t.Errorf("%v is not taken for a lost connection", err)
		}
	}
	for _, err := range []error{nil, ErrNoNode, ErrSessionExpired, ErrTooLarge} {
		if isConnectionLoss(err) {
			t.Errorf("%v is taken for a lost connection", err)
		}
	}
}
