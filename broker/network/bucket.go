package network

import "time"

const (
	// rateBurst is for how many seconds' worth of connections may come at once: Kafka measures a rate
	// over ten full windows of one second (quota.window.num, quota.window.size.seconds).
	rateBurst = 10
	// rateWindow caps the delay of one connection, as in Kafka. A rate that lets nobody in so comes to one
	// connection in that time.
	rateWindow = time.Second
)

// bucket is a token bucket; its rate is passed with each call and may change: 0 is no limit, and a negative one lets
// nobody in before rateWindow is over. The zero bucket is full.
type bucket struct {
	at      time.Time // of the last refill or, where nobody is let in, of the last token
	missing float64   // tokens short of full at that time
}

func (b *bucket) refill(now time.Time, rate int) {
	b.missing = max(0, b.missing-now.Sub(b.at).Seconds()*float64(rate))
	b.at = now
}

// delay returns for how long there will be no token.
func (b *bucket) delay(now time.Time, rate int) time.Duration {
	switch {
	case rate == 0:
		return 0
	case rate < 0:
		return max(0, rateWindow-now.Sub(b.at))
	}
	b.refill(now, rate)
	lack := b.missing + 1 - float64(rate*rateBurst)
	if lack <= 0 {
		return 0
	}
	return time.Duration(lack / float64(rate) * float64(time.Second))
}

// spend takes a token.
func (b *bucket) spend(now time.Time, rate int) {
	switch {
	case rate > 0:
		b.refill(now, rate)
		b.missing++
	case rate < 0:
		b.at = now
	}
}

// sleep returns false if done is closed before d is over.
func sleep(d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}
