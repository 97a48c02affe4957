// Package quota limits how fast replicas are copied (KIP-73, ReplicationQuotaManager.scala), so that a
// reassignment leaves clients their share of network and disks.
//
// A leader throttles what it serves, a follower what it fetches; each has a Replication of its own. A
// throttled replica that is in sync is copied as ever, so that no ISR is torn by a throttle, and counts. Above the
// rate a Replication does not hold anything up by itself: whoever copies leaves the throttled replicas out until
// the rate has fallen.
//
// The rate is that of Kafka: over the samples of the last seconds, of which the first counts as whole. Time is
// passed in. A nil Replication throttles nothing.
//
// Lock order: Replication.mu is a leaf.
package quota

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Unlimited is the rate that is never exceeded.
const Unlimited = math.MaxInt64

// Replication measures the bytes of throttled replicas against a rate. Its methods may be called from any goroutine.
type Replication struct {
	topics atomic.Pointer[map[string]Partitions] // never changed, only replaced, under mu

	mu struct {
		sync.Mutex
		rate  rate
		bound int64 // bytes a second
	}
}

// NewReplication returns a Replication without a limit and without throttled replicas, which measures over
// samples windows (replication.quota.window.num, replication.quota.window.size.seconds).
func NewReplication(samples int, window time.Duration) *Replication {
	r := &Replication{}
	r.topics.Store(&map[string]Partitions{})
	r.mu.rate = newRate(samples, window)
	r.mu.bound = Unlimited
	return r
}

// SetRate sets the bytes a second that are not to be exceeded.
func (r *Replication) SetRate(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.bound = bytes
}

// Rate returns what SetRate has set.
func (r *Replication) Rate() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.bound
}

// Throttle makes ps the throttled partitions of a topic, in place of those before.
func (r *Replication) Throttle(name string, ps Partitions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	none := !ps.all && len(ps.some) == 0
	if _, had := (*r.topics.Load())[name]; none && !had {
		return
	}
	topics := maps.Clone(*r.topics.Load())
	if topics[name] = ps; none {
		delete(topics, name)
	}
	r.topics.Store(&topics)
}

// Any reports whether anything is throttled at all.
func (r *Replication) Any() bool { return r != nil && len(*r.topics.Load()) > 0 }

// Throttled reports whether this broker's replica of p is throttled.
func (r *Replication) Throttled(p topic.Partition) bool {
	if r == nil {
		return false
	}
	ps, ok := (*r.topics.Load())[p.Topic]
	return ok && (ps.all || ps.some[p.Index])
}

// Record counts bytes that were copied, whether or not the rate is exceeded.
func (r *Replication) Record(bytes int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.rate.record(float64(bytes), now.UnixMilli())
}

// Exceeded reports whether more is copied than the rate allows.
func (r *Replication) Exceeded(now time.Time) bool { return r.Wait(now) > 0 }

// Wait returns how long the rate will be exceeded if nothing more is copied; 0 if it is not, and long if it
// allows nothing.
func (r *Replication) Wait(now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.bound == Unlimited {
		return 0
	}
	return r.mu.rate.wait(float64(r.mu.bound), now.UnixMilli())
}

// Partitions are the throttled replicas of one topic on one broker.
type Partitions struct {
	all  bool
	some map[int32]bool
}

// ParsePartitions reads a list as leader.replication.throttled.replicas has it, of "partition:broker", or with "*"
// alone for all; it returns the replicas on broker.
func ParsePartitions(list []string, broker int32) (Partitions, error) {
	if len(list) == 1 && strings.TrimSpace(list[0]) == "*" {
		return Partitions{all: true}, nil
	}
	ps := Partitions{some: map[int32]bool{}}
	for _, item := range list {
		first, second, ok := strings.Cut(strings.TrimSpace(item), ":")
		index, err := strconv.ParseInt(first, 10, 32)
		id, err2 := strconv.ParseInt(second, 10, 32)
		if !ok || err != nil || err2 != nil {
			return Partitions{}, fmt.Errorf("quota: %q is not partition:broker", item)
		}
		if int32(id) == broker {
			ps.some[int32(index)] = true
		}
	}
	return ps, nil
}
