package quota

import "time"

// rate is bytes a second over a moving window (SimpleRate over SampledStat): samples follow one another, each
// begun by the first record after the one before was complete.
type rate struct {
	window  int64 // of a sample, in milliseconds
	count   int   // samples that make up the window
	samples []sample
	current int
}

// sample is what was recorded from start on. Times are in milliseconds.
type sample struct {
	start, last int64
	sum         float64
}

func newRate(samples int, window time.Duration) rate {
	return rate{window: max(1, window.Milliseconds()), count: max(1, samples)}
}

// record counts value at now.
func (r *rate) record(value float64, now int64) {
	if len(r.samples) == 0 {
		r.samples = append(r.samples, sample{start: now, last: now})
	}
	if now-r.samples[r.current].start >= r.window {
		r.advance(now)
	}
	s := &r.samples[r.current]
	s.sum += value
	s.last = now
}

// advance begins a sample, in place of the oldest if there are enough. There is one more than makes up the window, since
// the oldest overlaps it.
func (r *rate) advance(now int64) {
	r.current = (r.current + 1) % (r.count + 1)
	if r.current >= len(r.samples) {
		r.samples = append(r.samples, sample{})
	}
	r.samples[r.current] = sample{start: now, last: now}
}

// measure returns the sum of what was recorded within the window, and since when.
func (r *rate) measure(now int64) (sum float64, oldest int64) {
	oldest = now
	for i := range r.samples {
		s := &r.samples[i]
		if now-s.last >= int64(r.count)*r.window {
			*s = sample{start: now, last: now}
		}
		sum += s.sum
		oldest = min(oldest, s.start)
	}
	return sum, oldest
}

// wait returns how long the rate stays above bound bytes a second if nothing is recorded; 0 if it is not above.
func (r *rate) wait(bound float64, now int64) time.Duration {
	sum, oldest := r.measure(now)
	if elapsed := max(now-oldest, r.window); sum/(float64(elapsed)/1000) <= bound {
		return 0
	}
	whole := int64(r.count+1) * r.window // after which all is forgotten
	left := whole
	if bound > 0 {
		left = min(whole, int64(sum/bound*1000)+1-(now-oldest))
	}
	return time.Duration(max(1, left)) * time.Millisecond
}
