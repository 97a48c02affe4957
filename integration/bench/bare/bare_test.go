package bare

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request returns a frame that looks like a Produce request.
func request(correlation uint32, body int) []byte {
	frame := make([]byte, headBytes+body)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	binary.BigEndian.PutUint32(frame[8:], correlation)
	for i := range body {
		frame[headBytes+i] = byte(correlation)
	}
	return frame
}

// start starts a server until t ends and returns its address and its file. Its clients and leaders must have
// gone by then.
func start(t *testing.T, followers ...string) (addr, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "data")
	server, err := New(path, followers...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		server.Serve(l)
		close(done)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		server.Close()
	})
	return l.Addr().String(), path
}

// TestRequestsArriveInAnyPieces sends the same requests cut at each place, to a server that is alone and to one
// that has followers: what is acknowledged must be in all files.
func TestRequestsArriveInAnyPieces(t *testing.T) {
	sent := append(append(request(7, 20), request(8, 0)...), request(9, 300)...)
	for followers := range 3 {
		t.Run(fmt.Sprintf("%d followers", followers), func(t *testing.T) {
			addrs, paths := make([]string, followers), make([]string, followers)
			for i := range followers {
				addrs[i], paths[i] = start(t)
			}
			addr, path := start(t, addrs...)
			paths = append(paths, path)
			for cut := 1; cut < len(sent); cut += 13 {
				client, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				for _, piece := range [][]byte{sent[:cut], sent[cut:]} {
					if _, err := client.Write(piece); err != nil {
						t.Fatal(err)
					}
				}
				for want := uint32(7); want <= 9; want++ {
					answer := make([]byte, len(produceAck()))
					if _, err := io.ReadFull(client, answer); err != nil {
						t.Fatal(err)
					}
					if got := binary.BigEndian.Uint32(answer[4:]); got != want {
						t.Errorf("cut at %d: answer %d, want %d", cut, got, want)
					}
				}
				for _, path := range paths {
					if file, err := os.ReadFile(path); err != nil || !bytes.Equal(file, sent) {
						t.Errorf("cut at %d: the file holds %d bytes of %d: %v", cut, len(file), len(sent), err)
					}
					if err := os.Truncate(path, 0); err != nil {
						t.Fatal(err)
					}
				}
				client.Close()
			}
		})
	}
}

// What a follower has not acknowledged, or not as it should, must not be acknowledged.
func TestNothingIsAcknowledgedWithoutTheFollowers(t *testing.T) {
	tests := []struct {
		name   string
		follow func(c net.Conn) // with what is sent to the follower
	}{
		{"it is gone", func(c net.Conn) {}},
		{"it goes in the middle", func(c net.Conn) { io.ReadFull(c, make([]byte, headBytes)) }},
		{"it acknowledges another request", func(c net.Conn) {
			io.ReadFull(c, make([]byte, headBytes+20))
			c.Write(produceAck())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := l.Accept()
				if err == nil {
					tt.follow(c)
					c.Close()
				}
			}()
			defer func() {
				l.Close()
				<-done
			}()
			good, _ := start(t)
			addr, _ := start(t, good, l.Addr().String())
			client, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			client.Write(request(7, 20))
			if answer, err := io.ReadAll(client); len(answer) > 0 {
				t.Errorf("an answer of %d bytes, %v", len(answer), err)
			}
		})
	}
}

func TestNobodyIsServedWithoutTheFollowers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	addr, _ := start(t, l.Addr().String())
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("it has answered")
	}
}

func TestAnswersAreWellFormed(t *testing.T) {
	ack := kmsg.NewPtrProduceResponse()
	ack.Version = 11
	if err := ack.ReadFrom(produceAck()[answerHead:]); err != nil || len(ack.Topics) != 1 {
		t.Errorf("a Produce response about %d topics, %v", len(ack.Topics), err)
	}
	for _, n := range []int64{0, 1, 126, 127, 1 << 20} {
		frame := append(append(fetchHead(n), make([]byte, n)...), fetchTail...)
		resp := kmsg.NewPtrFetchResponse()
		resp.Version = 17
		if err := resp.ReadFrom(frame[answerHead:]); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got := len(resp.Topics[0].Partitions[0].RecordBatches); int64(got) != n {
			t.Errorf("%d bytes of records, want %d", got, n)
		}
		if size := binary.BigEndian.Uint32(frame); int(size) != len(frame)-4 {
			t.Errorf("size %d of a frame of %d bytes", size, len(frame))
		}
	}
}
