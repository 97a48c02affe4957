// Package load makes the load that brokers are measured under: producers that send batches encoded
// beforehand, consumers that read at a given size, and a producer that keeps to a rate whatever the
// broker does. Each has one connection, so that the order of what it sends is that of the log. Consumer
// groups have a connection for each member; the heartbeats and commits of many members, encoded
// beforehand, go over a few.
//
// The generators run on the same machine as the broker. They do little for each request, but what
// they do limits the throughput; what is compared is the processor time that the broker needs.
package load

import (
	"time"

	"github.com/gregor-mq/gregor/integration/bench/report"
)

// InFlight is how many requests of a producer may be unanswered, max.in.flight.requests.per.connection.
const InFlight = 5

// patience is how long a broker may leave a request unanswered.
const patience = 60 * time.Second

// A Limit ends a run once it has taken Time, moved Bytes or sent Requests, whichever is first.
type Limit struct {
	Time     time.Duration
	Bytes    int64 // 0: no limit
	Requests int64 // 0: no limit
}

// reached reports whether a run of which r is known after a time is to end.
func (l Limit) reached(r *Result, after time.Duration) bool {
	return after >= l.Time || l.Bytes > 0 && r.Bytes >= l.Bytes || l.Requests > 0 && r.Requests >= l.Requests
}

// A Result is what a run has moved.
type Result struct {
	Requests int64
	Records  int64 // 0 for a consumer
	Bytes    int64 // of batches; of requests that hold none
	Elapsed  time.Duration
	Latency  report.Samples // of requests; of records for a Pace
}

// merge returns what several runs at the same time have moved together.
func merge(results []Result) Result {
	var all Result
	for i := range results {
		r := &results[i]
		all.Requests += r.Requests
		all.Records += r.Records
		all.Bytes += r.Bytes
		all.Elapsed = max(all.Elapsed, r.Elapsed)
		all.Latency.Merge(&r.Latency)
	}
	return all
}
