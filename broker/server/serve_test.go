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

// TestLimitsOfConnections: unlike a limit that is not set, one of zero lets nobody in; and each listener has what it is not
// given of its own from the broker.
func TestLimitsOfConnections(t *testing.T) {
	const no = math.MaxInt32
	for _, tt := range []struct {
		override             string
		broker, ip, listener int
		rate, listenerRate   int
	}{
		{"broker.id=1", no, no, no, no, no},
		{"max.connections=0", -1, no, -1, no, no},
		{"max.connections=5", 5, no, 5, no, no},
		{"listener.name.plaintext.max.connections=0", no, no, -1, no, no},
		{"listener.name.plaintext.max.connections=3", no, no, 3, no, no},
		{"max.connection.creation.rate=0", no, no, no, -1, -1},
		{"max.connection.creation.rate=7", no, no, no, 7, 7},
		{"listener.name.plaintext.max.connection.creation.rate=0", no, no, no, no, -1},
	} {
		limits, err := connectionLimits(t.Context(), load(t, tt.override))
		got := [5]int{limits.Connections, limits.PerIP, limits.Listeners["PLAINTEXT"].Connections,
			limits.CreationRate, limits.Listeners["PLAINTEXT"].CreationRate}
		if want := [5]int{tt.broker, tt.ip, tt.listener, tt.rate, tt.listenerRate}; err != nil || got != want {
			t.Errorf("%s: limits %v, want %v; %v", tt.override, got, want, err)
		}
	}
}
