package server

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/network"
)

// TestNetworkTakesWhatKafkaTakes: values at the edge of what is allowed, which mean "never" or "none", make a network.
func TestNetworkTakesWhatKafkaTakes(t *testing.T) {
	for _, override := range []string{
		"connections.max.idle.ms=-1", "queued.max.request.bytes=-1", "queued.max.request.bytes=0",
		"socket.send.buffer.bytes=-1", "socket.receive.buffer.bytes=-1", "max.connections=0", "max.connection.creation.rate=0",
	} {
		opts, err := networkOptions(t.Context(), load(t, override), newRoutes(nil), silent())
		if err == nil {
			_, err = network.New(opts)
		}
		if err != nil {
			t.Errorf("%s: %v", override, err)
		}
	}
}
