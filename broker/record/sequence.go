package record

import "math"

// IncrementSequence returns the sequence number n records after sequence; the successor of 2^31-1 is
// 0 (DefaultRecordBatch.incrementSequence). sequence and n must not be negative.
func IncrementSequence(sequence, n int32) int32 {
	if sequence > math.MaxInt32-n {
		return n - (math.MaxInt32 - sequence) - 1
	}
	return sequence + n
}

// DecrementSequence returns the sequence number n records before sequence; the predecessor of 0 is
// 2^31-1.
func DecrementSequence(sequence, n int32) int32 {
	if sequence < n {
		return math.MaxInt32 - (n - sequence) + 1
	}
	return sequence - n
}
