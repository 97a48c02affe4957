package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/logger"
)

// TestWhoReadsNoAnswersDelaysNoStop: the logs are to be closed cleanly also if a client is frozen, and that is no failure.
func TestWhoReadsNoAnswersDelaysNoStop(t *testing.T) {
	s, err := New(load(t, "broker.id=1", "zookeeper.connect="+newChroot(t), "log.dirs="+t.TempDir(), "listeners=PLAINTEXT://127.0.0.1:0"),
		logger.New(io.Discard, "info"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.network.Endpoints()[0].Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	apiVersions := bytes.Repeat([]byte("\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"), 1000)
	for err == nil { // until the broker reads no more because nobody reads what it answers
		conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, err = conn.Write(apiVersions)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(drainMax + 30*time.Second):
		conn.Close()
		t.Error("the broker waits for a client that does not read")
		<-stopped
	}
}
