package controller

import (
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/zkutil"
)

// TestDeadBrokerMoves has a broker that was taken for dead say that it is elsewhere now, in the moment in which
// another one starts: the list of brokers is looked at first, and must not hide the move.
func TestDeadBrokerMoves(t *testing.T) {
	h := newHistory()
	broker := func(id, port int32) []byte {
		return (&zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{
			{Listener: "PLAINTEXT", Host: "b", Port: port, SecurityProtocol: "PLAINTEXT"}}}).Encode()
	}
	for id := int32(1); id <= 2; id++ {
		h.zk.write(&write{kind: createNode, path: zkutil.BrokerPath(id), data: broker(id, 9092)})
	}
	if err := h.begin(1, false, false); err != nil {
		t.Fatal(err)
	}
	h.gone[2] = true
	if err := h.term.core.processChange(t.Context(), 2); err != nil || h.term.core.dead[2] == nil {
		t.Fatalf("2 does not count as dead (%v)", err)
	}
	h.zk.write(&write{kind: createNode, path: zkutil.BrokerPath(3), data: broker(3, 9092)})
	h.zk.write(&write{kind: setNode, path: zkutil.BrokerPath(2), data: broker(2, 9093), version: zkutil.AnyVersion})
	h.gone[2] = false // nothing is known of it where it is now
	h.out.Reset()
	h.drain()
	if b := h.term.core.brokers[2]; b == nil || b.Endpoints[0].Port != 9093 || h.term.core.dead[2] != nil {
		t.Errorf("2 is not taken up where it is now: %v, after\n%s", b, strings.TrimSpace(h.out.String()))
	}
}
