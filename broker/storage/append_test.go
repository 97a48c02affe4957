package storage

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
)

func TestDuplicateIsAnsweredWithItsFirstOffset(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	lead := func(seq int32, count int) (Appended, error) {
		return l.AppendLeader(batch(t, batchOpts{
			count: count, timestamp: testNow, producer: &record.ProducerInfo{ID: 7, Epoch: 1, Sequence: seq},
		}), AppendOptions{Epoch: 2, Now: testNow + 5})
	}
	for seq := int32(0); seq < 7; seq++ {
		if a, err := lead(3*seq, 3); err != nil || a.Duplicate {
			t.Fatal(a, err)
		}
	}
	a, err := lead(6, 3)
	if err != nil || !a.Duplicate || a.First != 6 || a.Last != 8 || a.AppendTime != testNow+2 || a.Bytes != 0 {
		t.Errorf("duplicate of the third batch: %+v %v", a, err)
	}
	if _, err := lead(3, 3); !errors.Is(err, producer.ErrOutOfOrderSequence) {
		t.Errorf("a batch older than the last five: %v", err)
	}
	if _, err := lead(24, 1); !errors.Is(err, producer.ErrOutOfOrderSequence) {
		t.Errorf("a gap in the sequence: %v", err)
	}
	if l.EndOffset() != 21 {
		t.Errorf("log end %d", l.EndOffset())
	}
	_, err = l.AppendLeader(batch(t, batchOpts{producer: &record.ProducerInfo{ID: 7, Epoch: 0, Sequence: 21}, timestamp: testNow}),
		AppendOptions{Epoch: 2, Now: testNow})
	if !errors.Is(err, producer.ErrInvalidEpoch) {
		t.Errorf("an older producer epoch: %v", err)
	}
}

func TestRefusedBatchLeavesNoTrace(t *testing.T) {
	c := DefaultLogConfig()
	c.SegmentBytes = 300
	l := newTestLog(t, c)
	appendRecords(t, l, 1, 5)
	before := l.Segments()
	bad := batch(t, batchOpts{count: 3, timestamp: testNow, producer: &record.ProducerInfo{ID: 7, Epoch: 1, Sequence: 5}})
	appendMust := func(err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	_, err := l.AppendLeader(bad, AppendOptions{Epoch: 1, Now: testNow})
	appendMust(err, nil) // an unknown producer may begin anywhere
	bad = batch(t, batchOpts{count: 3, timestamp: testNow, producer: &record.ProducerInfo{ID: 7, Epoch: 1, Sequence: 50}})
	_, err = l.AppendLeader(bad, AppendOptions{Epoch: 9, Now: testNow})
	appendMust(err, producer.ErrOutOfOrderSequence)
	if e, _ := l.LatestEpoch(); e != 1 || l.EndOffset() != 8 || len(l.Segments()) > len(before)+1 {
		t.Errorf("epoch %d, end %d, segments %v", e, l.EndOffset(), l.Segments())
	}
	_, err = l.AppendLeader(batch(t, batchOpts{size: 400}), AppendOptions{Epoch: 1, Now: testNow})
	appendMust(err, ErrRecordListTooLarge)
	corrupt := batch(t, batchOpts{})
	corrupt[70] ^= 1
	_, err = l.AppendLeader(corrupt, AppendOptions{Epoch: 1, Now: testNow})
	appendMust(err, record.ErrCorrupt)
	if _, err := l.AppendLeader(nil, AppendOptions{Epoch: 1, Now: testNow}); err != nil && !errors.Is(err, record.ErrCorrupt) {
		t.Errorf("nothing: %v", err)
	}
}

func TestLogAppendTime(t *testing.T) {
	c := DefaultLogConfig()
	c.Policy.TimestampType = record.LogAppendTime
	l := newTestLog(t, c)
	a, err := l.AppendLeader(batch(t, batchOpts{timestamp: 5}), AppendOptions{Epoch: 0, Now: testNow})
	if err != nil || a.AppendTime != testNow {
		t.Fatalf("%+v %v", a, err)
	}
	if b := readAll(t, l, 0, 1)[0]; b.MaxTimestamp() != testNow || b.TimestampType() != record.LogAppendTime || b.Check() != nil {
		t.Errorf("stored batch has timestamp %d", b.MaxTimestamp())
	}
}

func TestAppendFollower(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	follow := func(data ...[]byte) (Appended, error) {
		var all []byte
		for _, d := range data {
			all = append(all, d...)
		}
		return l.AppendFollower(all)
	}
	at := func(base int64, count int, epoch int32) []byte {
		return batch(t, batchOpts{base: base, count: count, epoch: epoch, timestamp: testNow})
	}
	if a, err := follow(at(10, 2, 1), at(12, 3, 1), at(20, 1, 3)[:50]); err != nil || a.First != 10 || a.Last != 14 {
		t.Fatalf("two batches and a part: %+v %v", a, err)
	}
	if a, err := follow(at(20, 2, 3)); err != nil || a.LogEnd != 22 {
		t.Fatalf("a gap in the offsets, as compaction leaves it: %+v %v", a, err)
	}
	if _, err := follow(at(21, 2, 3)); !errors.Is(err, ErrUnexpectedAppendOffset) {
		t.Errorf("offsets that are there already: %v", err)
	}
	if found, end, ok := l.EpochEndOffset(2); !ok || found != 1 || end != 20 {
		t.Errorf("end of epoch 2: %d %d %v", found, end, ok)
	}
	if err := l.TruncateFullyAndStartAt(31); err != nil {
		t.Fatal(err)
	}
	if a, err := follow(at(30, 4, 3)); err != nil || a.First != 30 || l.StartOffset() != 30 || l.EndOffset() != 34 {
		t.Errorf("an empty log whose end lies within the batch: %+v %v, log %d to %d", a, err, l.StartOffset(), l.EndOffset())
	}
	corrupt := at(34, 1, 3)
	corrupt[len(corrupt)-1] ^= 1
	if _, err := follow(corrupt); !errors.Is(err, record.ErrCorrupt) {
		t.Errorf("a corrupt batch: %v", err)
	}
}

// TestRoll follows section 11 of LogSegment.shouldRoll.
func TestRoll(t *testing.T) {
	one := int64(len(batch(t, batchOpts{count: 1, timestamp: testNow})))
	tests := []struct {
		name  string
		tweak func(*LogConfig)
		at    []int64 // timestamps of the appends
		want  []int64 // base offsets
	}{
		{"size: a segment that would be exceeded", func(c *LogConfig) { c.SegmentBytes = int(3*one - 1) }, []int64{1, 1, 1, 1, 1}, []int64{0, 2, 4}},
		{"size: a segment that is just filled", func(c *LogConfig) { c.SegmentBytes = int(3 * one) }, []int64{1, 1, 1, 1, 1}, []int64{0, 3}},
		{"time since the first record", func(c *LogConfig) { c.SegmentMs = 100 }, []int64{1000, 1100, 1101, 1150, 1202}, []int64{0, 2, 4}},
		{"compaction lag rolls earlier", func(c *LogConfig) { c.SegmentMs = 100; c.Compact = true; c.MaxCompactionLagMs = 50 }, []int64{1000, 1051}, []int64{0, 1}},
		{"old records do not roll", func(c *LogConfig) { c.SegmentMs = 100 }, []int64{1000, 5, 7}, []int64{0}},
		{"time index full", func(c *LogConfig) { c.SegmentIndexBytes = 36; c.IndexIntervalBytes = 0 }, []int64{1, 2, 3, 4, 5, 6}, []int64{0, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultLogConfig()
			tt.tweak(&c)
			l := newTestLog(t, c)
			for _, ts := range tt.at {
				if _, err := l.AppendLeader(batch(t, batchOpts{timestamp: ts}), AppendOptions{Now: testNow}); err != nil {
					t.Fatal(err)
				}
			}
			if got := l.Segments(); !slices.Equal(got, tt.want) {
				t.Errorf("segments %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRollWhereOffsetsDoNotFitTheIndex(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	for _, base := range []int64{5, math.MaxInt32, math.MaxInt32 + 1, 1 << 40} {
		if _, err := l.AppendFollower(batch(t, batchOpts{base: base, timestamp: testNow})); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := l.Segments(), []int64{0, math.MaxInt32 + 1, 1 << 40}; !slices.Equal(got, want) {
		t.Errorf("segments %v, want %v", got, want)
	}
	if got := readAll(t, l, 0, l.EndOffset()); len(got) != 4 {
		t.Errorf("read %d batches", len(got))
	}
}

func TestFlushMessages(t *testing.T) {
	c := DefaultLogConfig()
	c.FlushMessages = 10
	l := newTestLog(t, c)
	appendRecords(t, l, 0, 9)
	if l.RecoveryPoint() != 0 {
		t.Errorf("flushed at %d", l.RecoveryPoint())
	}
	appendRecords(t, l, 0, 1)
	if l.RecoveryPoint() != 10 {
		t.Errorf("not flushed: %d", l.RecoveryPoint())
	}
}

func TestLastStableOffset(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	appendRecords(t, l, 0, 3)
	lead := func(data []byte, origin record.Origin) {
		t.Helper()
		if _, err := l.AppendLeader(data, AppendOptions{Origin: origin, Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	lead(batch(t, batchOpts{count: 2, timestamp: testNow, txn: true, producer: &record.ProducerInfo{ID: 1}}), record.Client)
	if late := int64(20 * 60 * 1000); l.HasLateTransaction(testNow+late) || !l.HasLateTransaction(testNow+late+2) || !l.HasOpenTransaction(1) {
		t.Error("a transaction is late 20 minutes after its last record")
	}
	appendRecords(t, l, 0, 5)
	check := func(hw, want int64) {
		t.Helper()
		l.SetHighWatermark(hw)
		if got := l.LastStableOffset(); got != want {
			t.Errorf("last stable offset %d with high watermark %d, want %d", got, hw, want)
		}
	}
	check(2, 2)
	check(10, 3)
	lead(record.AppendMarker(nil, record.MarkerOptions{ProducerID: 1, Timestamp: testNow}), record.Coordinator)
	check(10, 3) // the marker, at offset 10, is not replicated yet
	check(11, 11)
	got, err := l.AbortedTransactions(3, 1000, 11)
	if err != nil || len(got) != 1 || got[0] != (AbortedTransaction{ProducerID: 1, FirstOffset: 3}) {
		t.Errorf("aborted transactions %v %v", got, err)
	}
	p := l.Producers()
	if len(p) != 1 || p[0].TxnStartOffset != -1 || p[0].LastSequence != 1 || p[0].CoordinatorEpoch != 0 {
		t.Errorf("producers %+v", p)
	}
}
