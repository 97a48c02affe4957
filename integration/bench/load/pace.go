package load

import (
	"context"
	"time"
)

// A Pace is a producer that records reach at a fixed rate, whatever the broker does, one after the
// other. It sends a record at once if fewer than InFlight requests are unanswered; otherwise records
// gather and go together, as with linger.ms=0. A record's latency counts from the moment at which it
// was to be sent, so that a broker that stalls is charged for all records that had to wait.
type Pace struct {
	frames []*frame // by number of records, from 1 on
	every  time.Duration
}

// batchSize is the default of Kafka's own producer, batch.size.
const batchSize = 16384

// NewPace encodes requests to partition 0 of a topic, for a rate in records a second.
func NewPace(topic string, acks int16, recordBytes, rate int) (*Pace, error) {
	p := &Pace{every: time.Second / time.Duration(rate)}
	for n := 1; n == 1 || n*recordBytes < batchSize; n++ {
		one, err := NewBatches(topic, acks, Spec{RecordBytes: recordBytes, BatchBytes: n * (recordBytes + 80)})
		if err != nil {
			return nil, err
		}
		p.frames = append(p.frames, one.frames[0])
	}
	return p, nil
}

// flight is one request of a Pace: so many records, from the first on.
type flight struct {
	first int64
	count int
}

// Run sends records for a time. It holds an OS thread, for the sake of exact timers.
func (p *Pace) Run(ctx context.Context, addr string, d time.Duration) (Result, error) {
	var r Result
	total := int64(d / p.every)
	r.Latency.Reserve(int(total))
	defer exactTimers()()

	slots := make(chan struct{}, InFlight)
	start := time.Now()
	intended := func(record int64) time.Time { return start.Add(time.Duration(record) * p.every) }
	pipe, err := startPipeline(ctx, addr, d, func(f flight) {
		now := time.Now()
		for i := range int64(f.count) {
			r.Latency.Add(now.Sub(intended(f.first + i)))
		}
		<-slots
	})
	if err != nil {
		return r, err
	}
	for r.Records < total {
		select {
		case slots <- struct{}{}:
		case <-pipe.failed:
			return r, pipe.finish()
		}
		if wait := time.Until(intended(r.Records)); wait > 0 {
			sleep(wait)
		}
		now := time.Now()
		due := int64(now.Sub(start)/p.every) + 1 - r.Records
		f := p.frames[min(max(due, 1), int64(len(p.frames)), total-r.Records)-1]
		f.stamp(int32(r.Requests+1), now.UnixMilli())
		if !pipe.send(f, flight{r.Records, f.records}) {
			break
		}
		r.Requests++
		r.Records += int64(f.records)
		r.Bytes += int64(len(f.batch))
	}
	err = pipe.finish()
	r.Elapsed = time.Since(start)
	return r, err
}
