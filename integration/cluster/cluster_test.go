package cluster

import (
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// TestBroker holds the harness to what it promises, on a broker of each kind.
func TestBroker(t *testing.T) {
	t.Run("Gregor", func(t *testing.T) { useBroker(t, (*Cluster).Add) })
	t.Run("Kafka", func(t *testing.T) { useBroker(t, (*Cluster).AddKafka) })
}

func useBroker(t *testing.T, add func(*Cluster, Props) *Broker) {
	c := Start(t, 0, Props{"auto.create.topics.enable": "false", "zookeeper.session.timeout.ms": "60000"})
	b := add(c, nil)
	if got := c.Controller(); got != b.ID() {
		t.Errorf("the controller is %d, want %d", got, b.ID())
	}
	MustTool(t, nil, "kafka-topics", "--bootstrap-server", c.Bootstrap(), "--create", "--topic", "orders", "--partitions", "2")
	if got := c.Leader("orders", 1); got != b.ID() {
		t.Errorf("the leader is %d, want %d", got, b.ID())
	}
	Kcat(t, strings.NewReader("one\ntwo\n"), "-b", c.Bootstrap(), "-P", "-t", "orders", "-p", "0")

	epoch, pid := c.Epoch(b.ID()), b.PID()
	c.Restart(b.ID())
	if c.Epoch(b.ID()) == epoch || b.PID() == pid {
		t.Error("the broker was not started again")
	}
	c.AwaitTopic("orders")
	got := Kcat(t, nil, "-b", c.Bootstrap(), "-C", "-t", "orders", "-p", "0", "-o", "beginning", "-e", "-q")
	if string(got) != "one\ntwo\n" {
		t.Errorf("read %q after the restart", got)
	}
	acked := c.Produce("orders", 100)
	if len(acked) != 100 {
		t.Errorf("%d of 100 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, awaitTimeout)
	if r := Tool(t, nil, "kafka-topics", "--bootstrap-server", c.Bootstrap(), "--describe", "--topic", "nope"); r.Exit != 1 {
		t.Errorf("%s: exit status %d, want 1", r.Command, r.Exit)
	}
	c.Pause(b.ID())
	c.Resume(b.ID())
	c.Kill(b.ID())
	if b.PID() != 0 || b.accepts() {
		t.Error("the broker was not killed")
	}
}

func TestBrokerThatCannotStart(t *testing.T) {
	c := Start(t, 0, nil)
	o := c.options(1, Props{"num.partitions": "none"})
	o.Kafka = true
	_, err := NewBroker(o)
	if err == nil || !strings.Contains(err.Error(), "Not a number of type INT") {
		t.Errorf("error %v, want one that says why the broker ended", err)
	}
}
