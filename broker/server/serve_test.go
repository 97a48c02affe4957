package server

import (
	"math"
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

// TestLimitsOfZero: unlike a limit that is not set, one of zero lets nobody in.
func TestLimitsOfZero(t *testing.T) {
	for override, want := range map[string][3]int{
		"broker.id=1":       {math.MaxInt32, math.MaxInt32, 0},
		"max.connections=0": {-1, math.MaxInt32, 0},
		"listener.name.plaintext.max.connections=0": {math.MaxInt32, math.MaxInt32, -1},
		"listener.name.plaintext.max.connections=3": {math.MaxInt32, math.MaxInt32, 3},
	} {
		limits, err := connectionLimits(t.Context(), load(t, override))
		if got := [3]int{limits.Connections, limits.PerIP, limits.Listeners["PLAINTEXT"].Connections}; err != nil || got != want {
			t.Errorf("%s: limits of broker, address and listener %v, want %v; %v", override, got, want, err)
		}
	}
}
