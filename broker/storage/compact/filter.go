package compact

import (
	"errors"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// LastRecord is what the log still has to tell of a producer that has not expired.
type LastRecord struct {
	// DataOffset is the last offset of its last batch with records, -1 if it is only known by a marker.
	DataOffset int64
	Epoch      int16
}

// FilterOptions say how to clean a log.
type FilterOptions struct {
	Map *OffsetMap // filled by an Index
	// FirstUncleanable is the offset that this cleaning would go up to at most, be the map full before or not
	// (LogToClean.firstUncleanableOffset). Of the batch that ends there the header stays, so that the log's last
	// segment that was cleaned still says where it ends.
	FirstUncleanable int64
	// NowMs is the time of the cleaning in ms since 1970, the same for all of it.
	NowMs int64
	// DeleteRetentionMs is the topic's delete.retention.ms.
	DeleteRetentionMs int64
}

// Filter is the second pass: it makes what is left of the segments below Map.End. One Filter goes over all
// of them in order, since transactions reach from segment to segment:
//
//	f := NewFilter(opts, &stats)
//	for each group of segments {
//		f.BeginGroup(last records of active producers, now)
//		for each segment of the group {
//			f.BeginSegment(aborted transactions of the segment, whether legacy deletes are kept)
//			for each chunk of the segment { f.Filter(chunk) }
//		}
//	}
type Filter struct {
	opts         FilterOptions
	stats        *Stats
	txns         txns
	producers    map[int64]LastRecord
	retainLegacy bool
	kept         Kept
	pieces       pieces

	// For the batch that is being looked at:
	cursor     record.Cursor
	reducer    record.Reducer
	candidates [lookups]candidate // the first n are in use
	n          int
	spans      []span
	copied     []byte
}

// NewFilter returns a Filter, which adds what it does to stats.
func NewFilter(opts FilterOptions, stats *Stats) *Filter {
	return &Filter{opts: opts, stats: stats, txns: newTxns()}
}

// BeginGroup begins a new group of segments, which are to become one. producers are those of the log that have
// not expired, by id, as they are at that time or later; the Filter only reads them.
func (f *Filter) BeginGroup(producers map[int64]LastRecord) { f.producers = producers }

// BeginSegment begins a segment. aborted are the aborted transactions that have anything between its base
// offset and the next segment's (of the group; else the offset after its last batch). retainLegacy keeps
// tombstones in formats v0 and v1: the segment was modified later than delete.retention.ms before the
// last segment below the first dirty offset.
func (f *Filter) BeginSegment(aborted []segment.AbortedTxn, retainLegacy bool) {
	f.txns.add(aborted)
	f.retainLegacy = retainLegacy
}

// Kept is what is left of a chunk. It is valid until the next call of Filter, and as long as the chunk
// is.
type Kept struct {
	// Read is how many bytes of the chunk were looked at: its whole batches. The next chunk begins behind
	// them. 0 means that the chunk does not hold a whole batch (record.PeekSize tells how much that takes).
	Read int
	// Pieces are whole batches, to be written in this order. Those that are kept as they are and follow each
	// other are one piece, which aliases the chunk unless it is short.
	Pieces [][]byte
	Bytes  int64 // of all pieces
	// MaxTimestamp is the largest timestamp of the batches, record.NoTimestamp if there is none, and
	// OffsetOfMaxTimestamp the last offset of the first batch that has it, -1 if none has.
	MaxTimestamp         int64
	OffsetOfMaxTimestamp int64
	// FirstOffset is the base offset of the first batch kept, LastOffset the last offset of the last one; -1 if
	// none is.
	FirstOffset, LastOffset int64
	// Horizons is how many batches have got a delete horizon.
	Horizons int
	// Aborted are the transactions that the new segment's transaction index has to have, in order.
	Aborted []segment.AbortedTxn
}

// Filter makes what is left of the whole batches at the beginning of data. Errors are those of record:
// batches that are none, checksums that differ (record.ErrCorrupt), records that cannot be read. They end
// the pass.
func (f *Filter) Filter(data []byte) (*Kept, error) {
	f.kept = Kept{
		Aborted:      f.kept.Aborted[:0],
		MaxTimestamp: record.NoTimestamp, OffsetOfMaxTimestamp: -1, FirstOffset: -1, LastOffset: -1,
	}
	f.pieces.reset(data)
	for {
		b, _, err := record.Next(data[f.kept.Read:])
		if errors.Is(err, record.ErrShort) {
			f.pieces.endRun()
			f.kept.Pieces = f.pieces.list
			return &f.kept, nil
		}
		if err == nil {
			err = f.batch(b)
		}
		if err != nil {
			return nil, err
		}
		f.kept.Read += len(b)
		f.stats.Bytes += int64(len(b))
	}
}
