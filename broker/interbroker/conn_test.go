package interbroker

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAppendRequest(t *testing.T) {
	stop := kmsg.NewPtrStopReplicaRequest()
	stop.Version, stop.ControllerID, stop.ControllerEpoch, stop.IsKRaftController, stop.BrokerEpoch = 4, 1, 2, true, 3
	stop.Topics = []kmsg.StopReplicaRequestTopic{{Topic: "t", PartitionStates: []kmsg.StopReplicaRequestTopicPartitionState{{Partition: 5, LeaderEpoch: -2, Delete: true}}}}
	stop3 := *stop
	stop3.Version, stop3.IsKRaftController = 3, false
	shutdown0 := &kmsg.ControlledShutdownRequest{BrokerID: 9}
	shutdown3 := &kmsg.ControlledShutdownRequest{Version: 3, BrokerID: 9, BrokerEpoch: 4}
	epochs := &kmsg.OffsetForLeaderEpochRequest{Version: 3, ReplicaID: 2}

	tests := []struct {
		name string
		req  kmsg.Request
		want string // key, version, correlation id, client id, tags, body; spaces mean nothing
	}{
		{"StopReplica v4: isKRaftController before the epoch", stop,
			"0005 0004 00000007 0001 31 00  00000001 01 00000002 0000000000000003  02 02 74 02 00000005 fffffffe 01 00 00 00"},
		{"StopReplica v3", &stop3,
			"0005 0003 00000007 0001 31 00  00000001 00000002 0000000000000003  02 02 74 02 00000005 fffffffe 01 00 00 00"},
		{"ControlledShutdown v0 has header v0", shutdown0, "0007 0000 00000007 00000009"},
		{"ControlledShutdown v3", shutdown3, "0007 0003 00000007 0001 31 00 00000009 0000000000000004 00"},
		{"not flexible: no tags", epochs, "0017 0003 00000007 0001 31 00000002 00000000"},
	}
	for _, tt := range tests {
		want, err := hex.DecodeString(strings.ReplaceAll(tt.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		want = append(binary.BigEndian.AppendUint32([]byte("x"), uint32(len(want))), want...)
		if got := appendRequest([]byte("x"), tt.req, 7, "1"); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.name, got, want)
		}
	}
}

// peer answers each request frame that a connection sends with what answer makes of it.
func peer(t *testing.T, answer func(frame []byte) []byte) (*Conn, func()) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var size [4]byte
			if _, err := io.ReadFull(theirs, size[:]); err != nil {
				return
			}
			frame := make([]byte, binary.BigEndian.Uint32(size[:]))
			if _, err := io.ReadFull(theirs, frame); err != nil {
				return
			}
			out := answer(frame)
			if out == nil {
				theirs.Close()
				return
			}
			if _, err := theirs.Write(out); err != nil {
				return
			}
		}
	}()
	d := Dialer{ClientID: "me", Timeout: time.Minute, Net: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
	c, err := d.Dial(t.Context(), "peer:1")
	if err != nil {
		t.Fatal(err)
	}
	return c, func() {
		c.Close()
		theirs.Close()
		<-done
	}
}

// reply frames body as the answer to frame.
func reply(frame []byte, header []byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	out = append(out, frame[4:8]...)
	out = append(out, header...)
	return append(out, body...)
}

func TestRoundTrip(t *testing.T) {
	// Header tags are skipped; ApiVersions has none even where it is flexible.
	c, end := peer(t, func(frame []byte) []byte {
		if frame[1] == keyAPIVersions {
			return reply(frame, nil, (&kmsg.ApiVersionsResponse{Version: 3, ErrorCode: 35}).AppendTo(nil))
		}
		return reply(frame, []byte{2, 0, 1, 'x', 5, 0}, (&kmsg.UpdateMetadataResponse{Version: 8, ErrorCode: 77}).AppendTo(nil))
	})
	defer end()
	for range 3 {
		resp, err := c.RoundTrip(t.Context(), &kmsg.UpdateMetadataRequest{Version: 8})
		if err != nil || resp.(*kmsg.UpdateMetadataResponse).ErrorCode != 77 {
			t.Fatalf("UpdateMetadata = %v, %v", resp, err)
		}
		resp, err = c.RoundTrip(t.Context(), &kmsg.ApiVersionsRequest{Version: 3})
		if err != nil || resp.(*kmsg.ApiVersionsResponse).ErrorCode != 35 {
			t.Fatalf("ApiVersions = %v, %v", resp, err)
		}
	}
	if got, err := c.Exchange(t.Context(), &kmsg.UpdateMetadataRequest{Version: 8}, []byte("kept")); err != nil || string(got) != "kept\x00\x4d\x00" {
		t.Errorf("Exchange = %q, %v", got, err)
	}
}

func TestRoundTripBreaks(t *testing.T) {
	req := &kmsg.UpdateMetadataRequest{Version: 8}
	tests := []struct {
		name   string
		answer func(frame []byte) []byte
		want   string
	}{
		{"peer closes", func([]byte) []byte { return nil }, "EOF"},
		{"another correlation id", func(f []byte) []byte { return reply(append(f[:4:4], 9, 9, 9, 9), nil, nil) }, "correlation id"},
		{"negative length", func([]byte) []byte { return []byte{255, 255, 255, 255, 0, 0, 0, 1} }, "response of -1 bytes"},
		{"tags cut off", func(f []byte) []byte { return reply(f, []byte{1, 0, 9}, nil) }, "tags are cut off"},
		{"body cut off", func(f []byte) []byte { return reply(f, []byte{0, 7}, nil) }, "UpdateMetadata response v8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, end := peer(t, tt.answer)
			defer end()
			if _, err := c.RoundTrip(t.Context(), req); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
			if _, err := c.RoundTrip(t.Context(), req); err == nil {
				t.Error("a broken connection is used again")
			}
		})
	}
}

func TestRoundTripEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req := &kmsg.UpdateMetadataRequest{Version: 8}
		silent := make(chan struct{})
		mute := func([]byte) []byte { <-silent; return nil }

		c, end := peer(t, mute)
		start := time.Now()
		if _, err := c.RoundTrip(t.Context(), req); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("a silent peer: %v after %v, want a time-out after a minute", err, time.Since(start))
		}
		if _, err := c.RoundTrip(t.Context(), req); !errors.Is(err, ErrBroken) {
			t.Errorf("after a time-out: %v, want ErrBroken", err)
		}
		c2, end2 := peer(t, mute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c2.RoundTrip(ctx, req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context over: %v", err)
		}
		c3, end3 := peer(t, mute)
		time.AfterFunc(time.Second, func() { c3.Close() })
		if _, err := c3.RoundTrip(t.Context(), req); err == nil {
			t.Error("Close during a request: no error")
		}
		close(silent)
		end()
		end2()
		end3()
	})
}

func TestAwaitEnd(t *testing.T) {
	// over returns a connection to a peer that does what it is told, once the connection stands, and closes it.
	over := func(do func(peer net.Conn)) *Conn {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		stands, done := make(chan struct{}), make(chan struct{})
		t.Cleanup(func() { <-done })
		go func() {
			defer close(done)
			defer l.Close()
			peer, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			<-stands
			do(peer)
			peer.Close()
		}()
		c, err := (&Dialer{ClientID: "1"}).Dial(t.Context(), l.Addr().String())
		close(stands)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := over(func(net.Conn) {})
	if err := c.AwaitEnd(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("closed by the peer: %v, want EOF", err)
	}
	if err := c.AwaitEnd(t.Context()); !errors.Is(err, ErrBroken) {
		t.Errorf("once more: %v, want ErrBroken", err)
	}
	c = over(func(peer net.Conn) { peer.(*net.TCPConn).SetLinger(0) })
	if err := c.AwaitEnd(t.Context()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset by the peer: %v, want ECONNRESET", err)
	}
	c = over(func(peer net.Conn) { peer.Write([]byte{1}) })
	if err := c.AwaitEnd(t.Context()); !errors.Is(err, errUnasked) {
		t.Errorf("a peer that speaks unasked: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c = over(func(peer net.Conn) {
		cancel()
		io.Copy(io.Discard, peer) // until our side is closed
	})
	if err := c.AwaitEnd(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v, want the context's error", err)
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	if _, err := new(Dialer).Dial(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "connect to broker "+addr) {
		t.Errorf("Dial = %v", err)
	}
}

func FuzzReadResponse(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 1, 1, 3, 0, 42}, true)
	f.Add([]byte{0x7f, 255, 255, 255, 0, 0, 0, 1, 1}, false)
	f.Fuzz(func(t *testing.T, data []byte, flexible bool) {
		body, err := readResponse(bytes.NewReader(data), nil, 1, flexible)
		if err == nil && !bytes.Contains(data, body) {
			t.Errorf("%x read as %x", data, body)
		}
	})
}
