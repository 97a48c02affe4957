package controller

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/zkutil"
)

// TestSenderRepeats checks that a request reaches a broker that does not listen yet, with one warning
// for all attempts, and that a connection which the broker has closed meanwhile is no event.
func TestSenderRepeats(t *testing.T) {
	log, logged := logtest.NewNullLogger()
	b := startFakeBroker(t, 1)
	attempts := 0
	answered := make(chan kmsg.Response, 10)
	c := &channels{
		listener: "L", log: log, senders: map[int32]*sender{},
		deliver: func(_ int32, _ kmsg.Request, resp kmsg.Response) { answered <- resp },
		dial: func(ctx context.Context, addr string) (*interbroker.Conn, error) {
			if attempts++; attempts < 4 {
				return nil, errors.New("connection refused")
			}
			return (&interbroker.Dialer{ClientID: "1"}).Dial(ctx, addr)
		},
	}
	defer c.close()
	c.Add(&zkutil.Broker{ID: 1, Endpoints: []zkutil.Endpoint{{Listener: "L", Host: "127.0.0.1", Port: b.Port()}}})
	c.Add(&zkutil.Broker{ID: 2, Endpoints: []zkutil.Endpoint{{Listener: "OTHER", Host: "127.0.0.1", Port: b.Port()}}})

	for round := range 3 {
		c.Send(1, &kmsg.UpdateMetadataRequest{Version: versionUpdateMetadata})
		c.Send(2, &kmsg.UpdateMetadataRequest{Version: versionUpdateMetadata})
		select {
		case <-answered:
		case <-time.After(30 * time.Second):
			t.Fatalf("request %d is never answered", round)
		}
		b.Disconnect()
	}
	var warnings, errs int
	for _, e := range logged.AllEntries() {
		switch e.Level {
		case logrus.WarnLevel:
			warnings++
		case logrus.ErrorLevel:
			errs++
		}
	}
	if warnings != 1 || errs != 1 {
		t.Errorf("%d warnings and %d errors, want one for the first failure and one for the missing listener", warnings, errs)
	}
}

// TestSenderEnds checks that a broker which does not answer does not hold up the end of its channel.
func TestSenderEnds(t *testing.T) {
	log, _ := logtest.NewNullLogger()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := &channels{listener: "L", log: log, senders: map[int32]*sender{}, dial: (&interbroker.Dialer{}).Dial}
	addr := silent.Addr().(*net.TCPAddr)
	c.Add(&zkutil.Broker{ID: 1, Endpoints: []zkutil.Endpoint{{Listener: "L", Host: "127.0.0.1", Port: int32(addr.Port)}}})
	c.Send(1, &kmsg.UpdateMetadataRequest{Version: versionUpdateMetadata})
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start := time.Now()
	c.close()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the channel ends after %v", took)
	}
	c.Send(1, &kmsg.UpdateMetadataRequest{Version: versionUpdateMetadata})
}
