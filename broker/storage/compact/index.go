package compact

import (
	"errors"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// Index is the first pass: it notes the last offset of every key of the dirty part
// (Cleaner.buildOffsetMap). Records of aborted transactions and of control batches do not count.
type Index struct {
	m     *OffsetMap
	start int64
	txns  txns
	stats *Stats

	cursor  record.Cursor
	waiting [lookups]latest // keys that go into the map together; the first n are in use
	n       int
}

// lookups is how many keys are looked up in the map together: see OffsetMap.touch.
const lookups = 64

// latest is a key on its way into the map.
type latest struct {
	hi, lo uint64
	offset int64
}

// NewIndex empties m and returns a pass that fills it, for a log that is dirty from offset start on.
// aborted are the aborted transactions that have anything in the dirty part
// (storage: the transaction indexes' entries between start and its end), in any order. What the pass does is added to stats.
func NewIndex(m *OffsetMap, start int64, aborted []segment.AbortedTxn, stats *Stats) *Index {
	m.Reset()
	x := &Index{m: m, start: start, txns: newTxns(), stats: stats}
	x.txns.add(aborted)
	return x
}

// Add takes the whole batches at the beginning of data, and returns how many bytes these are. The caller
// goes on with what follows them; 0 means that data does not hold a whole batch (record.PeekSize
// tells how much that takes). Batches below start may be among them, as a segment's offset index leads
// to them.
//
// full ends the pass: the map takes no more keys. m.Latest is then where it stopped, which may be in the
// middle of a batch.
//
// Errors are those of record: batches that are none, checksums that differ (record.ErrCorrupt), records
// that cannot be read. They end the pass as well.
func (x *Index) Add(data []byte) (n int, full bool, err error) {
	for {
		b, _, err := record.Next(data[n:])
		if errors.Is(err, record.ErrShort) {
			return n, false, nil
		}
		if err == nil {
			full, err = x.batch(b)
		}
		if err != nil || full {
			return n, full, err
		}
		n += len(b)
		x.stats.IndexBytes += int64(len(b))
	}
}

// EndSegment notes that a segment has been walked to its end. next is the base offset of the next one,
// or the end of the dirty part behind the last: what offsets are missing in between never come.
func (x *Index) EndSegment(next int64) { x.m.SetLatest(next - 1) }

func (x *Index) batch(b record.Batch) (full bool, err error) {
	if err := b.Check(); err != nil {
		return false, err
	}
	switch {
	case b.IsControl():
		if _, _, err := x.txns.control(b); err != nil {
			return false, err
		}
		x.stats.IndexRecords++
	case x.txns.data(b):
		x.stats.IndexRecords += int64(b.Count())
	default:
		if full, err = x.records(b); full || err != nil {
			return full, err
		}
	}
	if last := b.LastOffset(); last >= x.start {
		x.m.SetLatest(last)
	}
	return false, nil
}

func (x *Index) records(b record.Batch) (full bool, err error) {
	if b.Magic() < record.MagicV2 {
		return x.messages(b)
	}
	c := &x.cursor
	for c.Open(b); c.Next() && !full; {
		x.stats.IndexRecords++
		if c.Key == nil || c.Offset < x.start {
			continue
		}
		w := &x.waiting[x.n]
		w.hi, w.lo = x.m.hash(c.Key)
		w.offset = c.Offset
		if x.n++; x.n == len(x.waiting) {
			full = x.flush()
		}
	}
	return x.flush() || full, c.Close()
}

// flush puts the keys that wait into the map.
func (x *Index) flush() (full bool) {
	waiting := x.waiting[:x.n]
	x.n = 0
	for i := range waiting {
		x.m.touch(waiting[i].hi)
	}
	for i := range waiting {
		if w := &waiting[i]; !x.m.put(w.hi, w.lo, w.offset) {
			return true
		}
	}
	return false
}

// messages is records for formats v0 and v1.
func (x *Index) messages(b record.Batch) (full bool, err error) {
	for r, err := range b.Records() {
		if err != nil {
			return false, err
		}
		if r.Key != nil && r.Offset >= x.start && !x.m.Put(r.Key, r.Offset) {
			return true, nil
		}
		x.stats.IndexRecords++
	}
	return false, nil
}
