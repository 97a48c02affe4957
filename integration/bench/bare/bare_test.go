package bare

import (
	"bytes"
	"encoding/binary"
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

// TestRequestsArriveInAnyPieces sends the same requests cut at each place.
func TestRequestsArriveInAnyPieces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	server, err := New(path)
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
	defer func() {
		l.Close()
		<-done
		server.Close()
	}()
	sent := append(append(request(7, 20), request(8, 0)...), request(9, 300)...)
	for cut := 1; cut < len(sent); cut += 13 {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range [][]byte{sent[:cut], sent[cut:]} {
			if _, err := client.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		for want := uint32(7); want <= 9; want++ {
			answer := make([]byte, len(server.ack))
			if _, err := io.ReadFull(client, answer); err != nil {
				t.Fatal(err)
			}
			if got := binary.BigEndian.Uint32(answer[4:]); got != want {
				t.Errorf("cut at %d: answer %d, want %d", cut, got, want)
			}
		}
		client.Close()
		if file, err := os.ReadFile(path); err != nil || !bytes.Equal(file, sent) {
			t.Errorf("cut at %d: the file holds %d bytes of %d: %v", cut, len(file), len(sent), err)
		}
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
