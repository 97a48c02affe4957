package quota

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
)

// at returns the moment so many milliseconds after the tests' beginning.
func at(ms int64) time.Time { return time.UnixMilli(1_700_000_000_000 + ms) }

// TestRate follows ReplicationQuotaManager with 10 samples of a second each and a rate of 100 bytes a second.
func TestRate(t *testing.T) {
	r := NewReplication(10, time.Second)
	r.SetRate(100)
	for _, step := range []struct {
		ms       int64
		bytes    int
		exceeded bool
	}{
		{0, 100, false},   // exactly 100 within the first second, which counts as whole
		{0, 1, true},      // one more is too much
		{500, 0, true},    // still within the first second
		{1010, 0, false},  // 101 bytes over 1.01 seconds
		{1010, 100, true}, // 201 over 1.01
		{2011, 0, false},
		{2011, 800, true}, // 1001 over 2.011
		{10009, 0, true},  // over 10.009
		{10010, 0, false}, // over 10.01
		{10010, 1, true},  //
		{30000, 0, false}, // all is forgotten
		{30000, 100, false},
		{30999, 1, true},
	} {
		if step.bytes > 0 {
			r.Record(step.bytes, at(step.ms))
		}
		if got := r.Exceeded(at(step.ms)); got != step.exceeded {
			t.Errorf("after %d bytes at %d ms: exceeded %v, want %v", step.bytes, step.ms, got, step.exceeded)
		}
	}
}

// TestWait checks, after one burst, that the rate is exceeded for as long as Wait says, and then is not.
func TestWait(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		r := NewReplication(1+rnd.IntN(11), time.Second)
		r.SetRate(1 + rnd.Int64N(1000))
		r.Record(rnd.IntN(12000), at(0))
		wait := r.Wait(at(0))
		if wait == 0 {
			continue
		}
		if before := at(0).Add(wait - 2*time.Millisecond); r.Wait(before) == 0 && wait < r.whole() {
			t.Errorf("seed %d: not exceeded any more before %v", seed, wait)
		}
		if after := at(0).Add(wait); r.Wait(after) > 0 {
			t.Errorf("seed %d: still exceeded after %v", seed, wait)
		}
	}
}

// whole is when everything is forgotten.
func (r *Replication) whole() time.Duration {
	return time.Duration(int64(r.mu.rate.count)*r.mu.rate.window) * time.Millisecond
}

func TestLimits(t *testing.T) {
	var none *Replication
	if none.Any() || none.Throttled(topic.Partition{Topic: "t"}) || none.Wait(at(0)) != 0 {
		t.Error("no quota throttles")
	}
	r := NewReplication(11, time.Second)
	r.Record(math.MaxInt32, at(0))
	if r.Exceeded(at(0)) {
		t.Error("without a rate one is exceeded")
	}
	r.SetRate(0)
	if wait := r.Wait(at(1)); wait < 11*time.Second {
		t.Errorf("a rate of 0 waits for %v only", wait)
	}
	if r.Exceeded(at(30_000)) {
		t.Error("a rate of 0 is exceeded though nothing was copied lately")
	}
}

func TestThrottledPartitions(t *testing.T) {
	r := NewReplication(11, time.Second)
	set := func(name string, list ...string) {
		ps, err := ParsePartitions(list, 101)
		if err != nil {
			t.Fatal(err)
		}
		r.Throttle(name, ps)
	}
	throttled := func(name string) (is []int32) {
		for i := range int32(4) {
			if r.Throttled(topic.Partition{Topic: name, Index: i}) {
				is = append(is, i)
			}
		}
		return is
	}
	set("some", "0:101", "1:102", " 2:101")
	set("all", "*")
	set("others", "0:1", "1:10")
	for name, want := range map[string][]int32{"some": {0, 2}, "all": {0, 1, 2, 3}, "others": nil, "unknown": nil} {
		if got := throttled(name); !slices.Equal(got, want) {
			t.Errorf("throttled of %s: %v, want %v", name, got, want)
		}
	}
	set("some")
	set("all", "3:101")
	if got := throttled("all"); !slices.Equal(got, []int32{3}) || throttled("some") != nil || !r.Any() {
		t.Errorf("after changes: %v and %v", got, throttled("some"))
	}
	set("all")
	if r.Any() {
		t.Error("something is still throttled")
	}
	for _, bad := range []string{"x", "1", "1:", ":1", "1:2:3", "*,1:1"} {
		if ps, err := ParsePartitions([]string{bad}, 1); err == nil {
			t.Errorf("%q is read as %v", bad, ps)
		}
	}
}
