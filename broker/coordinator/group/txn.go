package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
)

// txns are the offsets that transactions have committed and whose transactions have not ended.
//
// An offset is pending from when its record is in the log until the marker of its transaction is, and then counts, or
// is dropped. Both are known only when the in-sync replicas have them, and may become known in either order: so the end
// of a transaction is kept as long as appends of its producer are under way, and decides on those that lie before the
// marker.
//
// A producer begins no transaction before the end of the one before was told: its coordinator waits for that.
//
// An append that failed, but is in the log, is pending, too: if the transaction commits after all, a later
// coordinator would find the offset, and so must this one. Kafka's drops it until it is loaded again.
type txns struct {
	pending map[int64]map[topic.Partition]stored // by producer id
	under   map[int64]*underWay                  // appends, by producer id
}

// underWay are the appends of a producer whose outcome is not known, and how its transactions ended meanwhile.
type underWay struct {
	appends int
	ends    []txnEnd // in the order of the log
}

type txnEnd struct {
	marker int64 // its offset
	commit bool
}

// begin notes an append of a producer.
func (t *txns) begin(producer int64) {
	if t.under == nil {
		t.under = map[int64]*underWay{}
	}
	u := t.under[producer]
	if u == nil {
		u = &underWay{}
		t.under[producer] = u
	}
	u.appends++
}

// end notes that the outcome of an append is known.
func (t *txns) end(producer int64) {
	if u := t.under[producer]; u != nil {
		if u.appends--; u.appends == 0 {
			delete(t.under, producer)
		}
	}
}

// has reports whether an offset of p is pending.
func (t *txns) has(p topic.Partition) bool {
	for _, offsets := range t.pending {
		if _, ok := offsets[p]; ok {
			return true
		}
	}
	return false
}

// forget drops what is pending of p.
func (t *txns) forget(p topic.Partition) {
	for producer, offsets := range t.pending {
		if delete(offsets, p); len(offsets) == 0 {
			delete(t.pending, producer)
		}
	}
}

// pend makes o, whose record is in the log, pending, or what its transaction has made of it already.
func (g *Group) pend(producer int64, p topic.Partition, o stored) {
	if u := g.txns.under[producer]; u != nil {
		for _, e := range u.ends {
			if o.batch > e.marker {
				continue
			}
			if e.commit {
				g.take(p, o)
			}
			return
		}
	}
	offsets := g.txns.pending[producer]
	if offsets == nil {
		offsets = map[topic.Partition]stored{}
		if g.txns.pending == nil {
			g.txns.pending = map[int64]map[topic.Partition]stored{}
		}
		g.txns.pending[producer] = offsets
	}
	if had, ok := offsets[p]; !ok || had.batch <= o.batch {
		offsets[p] = o
	}
}

// EndTransaction makes what a producer has committed in its transaction count, or drops it: everything that lies before
// the marker. It may be told of one marker twice.
func (g *Group) EndTransaction(producer int64, commit bool, marker int64) {
	if g.state == Dead {
		return
	}
	if u := g.txns.under[producer]; u != nil {
		u.ends = append(u.ends, txnEnd{marker, commit})
		slices.SortFunc(u.ends, func(a, b txnEnd) int { return cmp.Compare(a.marker, b.marker) })
	}
	offsets := g.txns.pending[producer]
	for p, o := range offsets {
		if o.batch > marker {
			continue // of the producer's next transaction
		}
		if delete(offsets, p); commit {
			g.take(p, o)
		}
	}
	if len(offsets) == 0 {
		delete(g.txns.pending, producer)
	}
}

// HasTxn reports whether a producer's transaction has offsets in this group, pending or being appended.
func (g *Group) HasTxn(producer int64) bool {
	return g.txns.pending[producer] != nil || g.txns.under[producer] != nil
}

// Producers returns the producers whose transactions have pending offsets in this group.
func (g *Group) Producers() []int64 { return slices.Sorted(maps.Keys(g.txns.pending)) }
