package compact

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// history makes a random log of a compacted partition: plain, idempotent and transactional producers with
// all codecs, tombstones, records without a key, transactions that are committed, aborted, left open or
// without records.
type history struct {
	t         testing.TB
	rng       *rand.Rand
	next      int64 // offset
	now       int64 // ms
	epoch     int32 // of the leader
	keys      int
	producers []*randomProducer
	segments  []logSegment
}

type logSegment struct {
	base    int64
	batches []record.Batch
}

// randomProducer is a producer; without transactions if none is true.
type randomProducer struct {
	record.ProducerInfo
	transactional bool
	open          bool
	coordinator   int32
}

func newHistory(t testing.TB, seed uint64, now int64) *history {
	h := &history{t: t, rng: rand.New(rand.NewPCG(seed, 0)), now: now, keys: 30}
	for id := range int64(6) {
		h.producers = append(h.producers, &randomProducer{ProducerInfo: record.ProducerInfo{ID: 1000 + id}, transactional: id > 1})
	}
	return h
}

// legacy adds a segment of messages of an old format.
func (h *history) legacy(magic int8, batches int) {
	h.roll()
	for range batches {
		opts := record.BuilderOptions{Codec: record.Codec(h.rng.IntN(4)), BaseOffset: h.next}
		if magic == record.MagicV0 {
			opts.TimestampType = record.NoTimestampType
		} else if h.rng.IntN(4) == 0 {
			opts.TimestampType, opts.AppendTime = record.LogAppendTime, h.now
		}
		h.build(magic, opts, 1+h.rng.IntN(6))
	}
}

// add adds a segment of n batches.
func (h *history) add(n int) {
	h.roll()
	h.epoch += int32(h.rng.IntN(2))
	for range n {
		p := h.producers[h.rng.IntN(len(h.producers))]
		switch {
		case h.rng.IntN(3) == 0:
			h.data(nil, false)
		case !p.transactional:
			h.data(&p.ProducerInfo, false)
		case p.open && h.rng.IntN(3) == 0, h.rng.IntN(20) == 0:
			h.marker(p)
		default:
			h.data(&p.ProducerInfo, true)
			p.open = true
		}
	}
}

func (h *history) roll() { h.segments = append(h.segments, logSegment{base: h.next}) }

func (h *history) data(p *record.ProducerInfo, transactional bool) {
	opts := record.BuilderOptions{
		Codec: record.Codec(h.rng.IntN(5)), BaseOffset: h.next, LeaderEpoch: h.epoch, Transactional: transactional,
	}
	if h.rng.IntN(2) == 0 {
		opts.Codec = record.None
	}
	if h.rng.IntN(5) == 0 {
		opts.TimestampType, opts.AppendTime = record.LogAppendTime, h.now
	}
	if p != nil {
		info := *p
		opts.Producer = &info
	}
	b := h.build(record.MagicV2, opts, 1+h.rng.IntN(6))
	if p != nil {
		p.Sequence += b.LastOffsetDelta() + 1
	}
}

// build adds a batch of n records.
func (h *history) build(magic int8, opts record.BuilderOptions, n int) record.Batch {
	bu := record.NewBuilder(magic, opts)
	plain := magic < record.MagicV2 && opts.Codec == record.None
	if plain {
		n = 1
	}
	for range n {
		h.now += int64(h.rng.IntN(5))
		if err := bu.AppendAt(h.record(magic)); err != nil {
			h.t.Fatal(err)
		}
		h.next++
	}
	b, err := bu.Build(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.append(b)
}

func (h *history) record(magic int8) record.Record {
	r := record.Record{Offset: h.next, Timestamp: h.now - int64(h.rng.IntN(100))}
	if h.rng.IntN(20) > 0 {
		k := h.rng.IntN(h.keys)
		r.Key = []byte(strings.Repeat(fmt.Sprintf("k%d-", k), k%5)) // the empty key is one too
	}
	if h.rng.IntN(4) > 0 {
		r.Value = []byte(strings.Repeat(fmt.Sprintf("v%d.", h.next), h.rng.IntN(12)))
	}
	if magic == record.MagicV2 && h.rng.IntN(5) == 0 {
		r.Headers = record.MakeHeaders(record.Header{Key: "h", Value: []byte("x")}, record.Header{Key: "null"})
	}
	return r
}

// marker ends a transaction, which may have no records.
func (h *history) marker(p *randomProducer) {
	if h.rng.IntN(4) == 0 { // as InitProducerId does it: the epoch is raised, and sequence numbers start over
		p.Epoch++
		p.Sequence = 0
	}
	h.append(record.AppendMarker(nil, record.MarkerOptions{
		Marker:     record.Marker{Commit: h.rng.IntN(2) == 0, CoordinatorEpoch: p.coordinator},
		ProducerID: p.ID, ProducerEpoch: p.Epoch, BaseOffset: h.next, LeaderEpoch: h.epoch, Timestamp: h.now,
	}))
	h.next++
	p.open = false
}

func (h *history) append(b []byte) record.Batch {
	s := &h.segments[len(h.segments)-1]
	s.batches = append(s.batches, b)
	return b
}

// replayed is what a broker knows of a log that it has gone through.
type replayed struct {
	state   *producer.State
	aborted []segment.AbortedTxn
}

// replay goes through a log as a broker that recovers it.
func replay(t testing.TB, segments []logSegment) replayed {
	r := replayed{state: producer.New("t-0")}
	for _, s := range segments {
		for _, b := range s.batches {
			a := r.state.Prepare(record.Replication, false)
			if _, _, err := a.Add(b, 0); err != nil {
				t.Fatal(err)
			}
			err := r.state.Commit(a, func(txn producer.CompletedTxn) error {
				if txn.Aborted {
					r.aborted = append(r.aborted, segment.AbortedTxn{
						ProducerID: txn.ProducerID, FirstOffset: txn.FirstOffset, LastOffset: txn.LastOffset, LastStableOffset: txn.LastStableOffset,
					})
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

// between returns the aborted transactions that have anything in [from, to).
func (r replayed) between(from, to int64) (found []segment.AbortedTxn) {
	for _, txn := range r.aborted {
		if txn.LastOffset >= from && txn.FirstOffset < to {
			found = append(found, txn)
		}
	}
	return found
}

func (r replayed) lastRecords() map[int64]LastRecord {
	last := map[int64]LastRecord{}
	for e := range r.state.All() {
		last[e.ID] = LastRecord{DataOffset: e.LastDataOffset(), Epoch: e.Epoch}
	}
	return last
}

// bytes returns all batches of a segment.
func (s logSegment) bytes() (all []byte) {
	for _, b := range s.batches {
		all = append(all, b...)
	}
	return all
}
