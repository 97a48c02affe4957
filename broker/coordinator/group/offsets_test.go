package group

import (
	"testing"
	"time"
)

// TestPartitionTwiceInACommit: of two offsets that one request has for a partition the later counts, now and when the
// log is read.
func TestPartitionTwiceInACommit(t *testing.T) {
	now := time.UnixMilli(1)
	for name, producer := range map[string]int64{"plain": -1, "in a transaction": 7} {
		g := New("g", &Config{MaxMetadata: 10}, now)
		c := txnCommit(producer, 5, t0)
		c.Offsets = append(c.Offsets, txnCommit(producer, 6, t0).Offsets...)
		if producer < 0 {
			c.Txn = nil
		}
		g.Commit(c, "c", now)
		a := g.Take().Appends[0]
		g.Appended(a.Ticket, 10, 0, now)
		l := NewLoading(&Config{})
		for _, r := range a.Records {
			if err := l.Add(r.Key, r.Value, &Place{Batch: 10, ProducerID: producer, Transactional: producer >= 0}, now); err != nil {
				t.Fatal(err)
			}
		}
		g.EndTransaction(7, true, 11)
		l.EndTransaction(7, true)
		if live, read := offsetOf(g, true), offsetOf(l.Groups(now)["g"], true); live != "6, error 0" || read != live {
			t.Errorf("%s: %s, read from the log %s", name, live, read)
		}
	}
}
