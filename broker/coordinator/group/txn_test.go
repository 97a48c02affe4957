package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
)

var t0 = topic.Partition{Topic: "t"}

func txnCommit(producer, offset int64, p topic.Partition) *Commit {
	return &Commit{Generation: -1, Txn: &Txn{ProducerID: producer}, Offsets: []PartitionOffset{
		{p, Offset{Offset: offset, LeaderEpoch: -1, ExpireTimestamp: -1}},
	}}
}

// commitTxn commits an offset, whose batch begins at base.
func commitTxn(t *testing.T, g *Group, producer, offset, base int64) {
	t.Helper()
	now := time.UnixMilli(1)
	g.Commit(txnCommit(producer, offset, t0), "c", now)
	fx := g.Take()
	if len(fx.Appends) != 1 || fx.Appends[0].Txn == nil || fx.Appends[0].Txn.ProducerID != producer {
		t.Fatalf("appends %+v", fx.Appends)
	}
	g.Appended(fx.Appends[0].Ticket, base, 0, now)
	if fx := g.Take(); len(fx.Commits) != 1 || fx.Commits[0].Codes[0] != 0 {
		t.Fatalf("commits %+v", fx.Commits)
	}
}

func offsetOf(g *Group, stable bool) string {
	o := g.Fetch([]topic.Partition{t0}, stable)[0]
	return fmt.Sprintf("%d, error %d", o.Offset, o.Code)
}

// TestTransactionalOffsets are not seen before their transaction is committed, nor after it was aborted.
func TestTransactionalOffsets(t *testing.T) {
	g := New("g", &Config{MaxMetadata: 10}, time.UnixMilli(1))
	steps := []struct {
		name           string
		do             func()
		stable, always string
	}{
		{"pending", func() { commitTxn(t, g, 7, 5, 10) }, "-1, error 88", "-1, error 0"},
		{"committed", func() { g.EndTransaction(7, true, 11) }, "5, error 0", "5, error 0"},
		{"the same marker again", func() { g.EndTransaction(7, true, 11) }, "5, error 0", "5, error 0"},
		{"pending again", func() { commitTxn(t, g, 7, 6, 12) }, "-1, error 88", "5, error 0"},
		{"another producer's end", func() { g.EndTransaction(8, true, 13) }, "-1, error 88", "5, error 0"},
		{"aborted", func() { g.EndTransaction(7, false, 14) }, "5, error 0", "5, error 0"},
		{"two producers", func() { commitTxn(t, g, 7, 7, 15); commitTxn(t, g, 8, 8, 16) }, "-1, error 88", "5, error 0"},
		{"the later one is committed", func() { g.EndTransaction(8, true, 17) }, "-1, error 88", "8, error 0"},
		{"the earlier one, too late to count", func() { g.EndTransaction(7, true, 18) }, "8, error 0", "8, error 0"},
	}
	for _, s := range steps {
		s.do()
		if stable, always := offsetOf(g, true), offsetOf(g, false); stable != s.stable || always != s.always {
			t.Errorf("%s: stable %s, want %s; always %s, want %s", s.name, stable, s.stable, always, s.always)
		}
	}
}

// TestEndedBeforeItsCommitIsKnown: what a producer has committed, and that its transaction ended, are told in either order.
func TestEndedBeforeItsCommitIsKnown(t *testing.T) {
	for _, commit := range []bool{true, false} {
		g := New("g", &Config{MaxMetadata: 10}, time.UnixMilli(1))
		g.Commit(txnCommit(7, 5, t0), "c", time.UnixMilli(1))
		ticket := g.Take().Appends[0].Ticket
		if got := offsetOf(g, true); got != "-1, error 88" {
			t.Errorf("while it is appended: %s, want error 88", got)
		}
		g.EndTransaction(7, commit, 11)
		g.Appended(ticket, 10, 0, time.UnixMilli(2))
		want := "5, error 0"
		if !commit {
			want = "-1, error 0"
		}
		if got := offsetOf(g, true); got != want || g.HasTxn(7) {
			t.Errorf("commit %v: %s, want %s", commit, got, want)
		}
	}
}

// TestExpiryLeavesTransactionsAlone: that an old offset expires says nothing of the one that is to take its place.
func TestExpiryLeavesTransactionsAlone(t *testing.T) {
	config, now := &Config{MaxMetadata: 10}, time.UnixMilli(1)
	g := New("g", config, now)
	commitTxn(t, g, 7, 5, 10)
	g.EndTransaction(7, true, 11)
	commitTxn(t, g, 7, 6, 12)
	g.Expire(time.Hour, now.Add(2*time.Hour))
	if fx := g.Take(); len(fx.Appends) != 1 || fx.Appends[0].Records[0].Value != nil {
		t.Fatalf("appends %+v, want the tombstone of what has expired", fx.Appends)
	}
	if got := offsetOf(g, true); got != "-1, error 88" {
		t.Errorf("pending: %s, want error 88", got)
	}
	g.EndTransaction(7, true, 14)
	if got := offsetOf(g, true); got != "6, error 0" {
		t.Errorf("committed: %s, want 6", got)
	}

	commitTxn(t, g, 7, 7, 15)
	g.Forget([]topic.Partition{t0}, now)
	g.EndTransaction(7, true, 17)
	if got := offsetOf(g, true); got != "-1, error 0" || g.HasTxn(7) {
		t.Errorf("of a partition that was deleted meanwhile: %s", got)
	}
}

// TestWhoMayCommitInATransaction (KIP-447): members by their generation, and producers that know of none.
func TestWhoMayCommitInATransaction(t *testing.T) {
	now := time.UnixMilli(1)
	g := New("g", &Config{MaxSize: 9, MaxMetadata: 3, NewID: func() string { return "1" }}, now)
	commit := func(change func(*Commit)) string {
		c := txnCommit(7, 5, t0)
		change(c)
		g.Commit(c, "c", now)
		fx := g.Take()
		for _, a := range fx.Appends {
			g.Appended(a.Ticket, 10, 0, now)
		}
		fx.Commits = append(fx.Commits, g.Take().Commits...)
		return fmt.Sprint(fx.Commits[0].Codes)
	}
	who := func(member string, generation int32) func(*Commit) {
		return func(c *Commit) { c.MemberID, c.Generation = member, generation }
	}
	expect := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	expect("without an identity", commit(who("", -1)), "[0]")
	expect("a generation of an empty group", commit(who("nobody", 3)), "[25]")
	expect("long metadata", commit(func(c *Commit) { c.Offsets[0].Metadata = "1234" }), "[12]")

	g.Join(&Join{ClientID: "c", SessionTimeoutMs: 10000, RebalanceTimeoutMs: 10000, ProtocolType: "consumer", Protocols: []Protocol{{Name: "range"}}}, "j", now)
	joined := g.Take().Joins
	if len(joined) == 0 {
		now = now.Add(time.Minute)
		g.Tick(now)
		joined = g.Take().Joins
	}
	m := joined[0]
	if m.Code != 0 || g.State() != CompletingRebalance {
		t.Fatalf("join: %+v, state %s", m, g.State())
	}
	expect("while the leader assigns", commit(who(m.MemberID, m.Generation)), "[0]")
	expect("without an identity, in a group with members", commit(who("", -1)), "[0]")
	expect("another generation", commit(who(m.MemberID, m.Generation+1)), "[22]")
	expect("no generation", commit(who(m.MemberID, -1)), "[22]")
	expect("another member", commit(who("nobody", m.Generation)), "[25]")
	g.Unload(now)
	expect("a group that is elsewhere", commit(who("", -1)), "[15]")
}

// TestRandomTransactions lets producers and consumers commit offsets to a group while outcomes come in any order. In the end
// the group must hold what is read from its log.
func TestRandomTransactions(t *testing.T) {
	histories := uint64(1000)
	if testing.Short() {
		histories = 100
	}
	for s := uint64(1); s <= histories; s++ {
		if err := txnHistory(rand.New(rand.NewPCG(s, 7))); err != nil {
			t.Fatalf("seed %d: %v", s, err)
		}
	}
}

// entry is a batch of the log: records, or a marker.
type entry struct {
	producer int64 // -1: none
	records  []Record
	marker   bool
	commit   bool
}

func txnHistory(r *rand.Rand) error {
	config, now := &Config{MaxMetadata: 10}, time.UnixMilli(1)
	g := New("g", config, now)
	var log []entry
	var outcomes []func()        // of appends: in any order
	ends := map[int64][]func(){} // of a producer's transactions: in order
	commit := func(c *Commit) {
		g.Commit(c, "c", now)
		for _, a := range g.Take().Appends {
			base, code := int64(len(log)), int16(0)
			switch n := r.IntN(10); {
			case n == 0:
				base, code = -1, kerr.NotEnoughReplicas.Code
			case n == 1 && a.Txn != nil:
				code = kerr.RequestTimedOut.Code
			}
			if base >= 0 {
				e := entry{producer: -1, records: a.Records}
				if a.Txn != nil {
					e.producer = a.Txn.ProducerID
				}
				log = append(log, e)
			}
			outcomes = append(outcomes, func() { g.Appended(a.Ticket, base, code, now) })
		}
	}
	for range 40 + r.IntN(40) {
		producer, offset := int64(r.IntN(3)), int64(r.IntN(1000))
		p := topic.Partition{Topic: "t", Index: int32(r.IntN(3))}
		switch n := r.IntN(10); {
		case n < 2:
			c := txnCommit(producer, offset, p)
			c.Txn = nil
			commit(c)
		case n < 5 && len(ends[producer]) == 0: // a coordinator begins nothing before the last end is through
			commit(txnCommit(producer, offset, p))
		case n < 6:
			marker, ok := int64(len(log)), r.IntN(3) > 0
			log = append(log, entry{producer: producer, marker: true, commit: ok})
			ends[producer] = append(ends[producer], func() { g.EndTransaction(producer, ok, marker) })
		case n < 8 && len(outcomes) > 0:
			i := r.IntN(len(outcomes))
			outcomes[i]()
			outcomes = slices.Delete(outcomes, i, i+1)
		case len(ends[producer]) > 0:
			ends[producer][0]()
			ends[producer] = ends[producer][1:]
		}
	}
	for len(outcomes) > 0 {
		i := r.IntN(len(outcomes))
		outcomes[i]()
		outcomes = slices.Delete(outcomes, i, i+1)
	}
	for _, list := range ends {
		for _, end := range list {
			end()
		}
	}
	return sameAsLog(g, log, config, now)
}

// sameAsLog compares what is committed and what is pending with a group that is read from the log.
func sameAsLog(g *Group, log []entry, config *Config, now time.Time) error {
	l := NewLoading(config)
	for base, e := range log {
		if e.marker {
			l.EndTransaction(e.producer, e.commit)
		}
		for _, rec := range e.records {
			if err := l.Add(rec.Key, rec.Value, &Place{Batch: int64(base), ProducerID: e.producer, Transactional: e.producer >= 0}, now); err != nil {
				return err
			}
		}
	}
	read := l.Groups(now)["g"]
	if read == nil {
		read = New("g", config, now)
	}
	for i := range int32(3) {
		p := []topic.Partition{{Topic: "t", Index: i}}
		for _, stable := range []bool{true, false} {
			if got, want := g.Fetch(p, stable), read.Fetch(p, stable); got[0] != want[0] {
				return fmt.Errorf("offset of %v is %d with error %d, read from the log %d with error %d (stable: %v)",
					p, got[0].Offset, got[0].Code, want[0].Offset, want[0].Code, stable)
			}
		}
	}
	if got, want := g.Producers(), read.Producers(); !slices.Equal(got, want) || len(g.txns.under) > 0 {
		return fmt.Errorf("pending of producers %v, read from the log %v; under way %v", got, want, g.txns.under)
	}
	return nil
}
