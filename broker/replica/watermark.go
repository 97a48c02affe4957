package replica

// follower is what the leader knows of another replica.
type follower struct {
	logEnd   int64
	logStart int64
}

// committed returns the lowest log end offset in the ISR, which is how far the high watermark may
// rise. A follower that has not fetched yet holds it at -1.
func committed(self int32, logEnd int64, isr []int32, followers map[int32]follower) int64 {
	for _, id := range isr {
		if id == self {
			continue
		}
		f, fetched := followers[id]
		if !fetched {
			return -1
		}
		logEnd = min(logEnd, f.logEnd)
	}
	return logEnd
}

// effectiveMinISR is min.insync.replicas, as far as the partition has replicas at all.
func effectiveMinISR(configured, replicas int) int { return min(configured, replicas) }
