package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/integration/kafka"
)

// patience is how long things may take, on a machine that is busy with other things too.
type patience struct {
	recovery time.Duration // in which everything must be well again once all faults are undone
	session  time.Duration // zookeeper.session.timeout.ms
	pace     int           // by which rests between steps of faults are multiplied
	start    time.Duration // what a step waits for a broker that it has started
}

// The patiences. A Kafka broker needs many seconds of both processors to start, and when it was killed, it does not start
// before its last session has timed out.
var (
	ofGregor = patience{recovery: 3 * time.Minute, session: 3 * time.Second, pace: 1}
	ofKafka  = patience{recovery: 4 * time.Minute, session: 6 * time.Second, pace: 2, start: 45 * time.Second}
)

// patienceWith returns the patience with clusters of Gregor's brokers alone, or of both implementations.
func patienceWith(kafka bool) patience {
	if kafka {
		return ofKafka
	}
	return ofGregor
}

// jvm is how Kafka's brokers are started: several of them share the machine, and none of them for long.
var jvm = kafka.Options{Heap: "512m", Java: []string{"-XX:TieredStopAtLevel=1"}}

// bounded returns a context that ends when everything must have recovered.
func (c *chaos) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := patienceWith(c.kafka > 0).recovery
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
}
