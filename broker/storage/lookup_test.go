package storage

import (
	"slices"
	"testing"
	"time"
)

// lookupLog has batches of these timestamps, one segment for each pair, all of epoch 3.
func lookupLog(t *testing.T, timestamps ...int64) *Log {
	t.Helper()
	c := DefaultLogConfig()
	c.SegmentBytes = 2 * len(batch(t, batchOpts{timestamp: timestamps[0]}))
	c.SegmentMs = 1 << 60
	l := newTestLog(t, c)
	for _, ts := range timestamps {
		if _, err := l.AppendLeader(batch(t, batchOpts{timestamp: ts}), AppendOptions{Epoch: 3, Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	l.SetHighWatermark(l.EndOffset())
	return l
}

// TestLookups follows UnifiedLog.fetchOffsetByTimestamp.
func TestLookups(t *testing.T) {
	const h = testNow
	l := lookupLog(t, h+10, h+30, h+20, h+30, h+50, h+40, h+50)
	for ts, want := range map[int64]int64{h: 0, h + 10: 0, h + 11: 1, h + 30: 1, h + 31: 4, h + 50: 4} {
		found, ok, err := l.LookupTimestamp(ts)
		if err != nil || !ok || found.Offset != want || found.LeaderEpoch != 3 {
			t.Errorf("timestamp %d: %+v %v %v, want offset %d", ts-h, found, ok, err, want)
		}
	}
	if found, ok, err := l.LookupTimestamp(h + 51); ok || err != nil {
		t.Errorf("a timestamp above all: %+v %v", found, err)
	}
	if found, ok, err := l.MaxTimestamp(); err != nil || !ok || found != (TimestampOffset{h + 50, 4, 3}) {
		t.Errorf("largest timestamp: %+v %v %v", found, ok, err)
	}
	if e := l.Earliest(); e != (TimestampOffset{-1, 0, 3}) {
		t.Errorf("earliest: %+v", e)
	}
	if _, err := l.IncrementStartOffset(2); err != nil {
		t.Fatal(err)
	}
	if found, ok, _ := l.LookupTimestamp(h + 30); !ok || found.Offset != 3 {
		t.Errorf("timestamp from the start offset on: %+v %v", found, ok)
	}
	if e := l.Earliest(); e != (TimestampOffset{-1, 2, 3}) {
		t.Errorf("earliest: %+v", e)
	}
}

func TestLookupsInAnEmptyLog(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	if _, ok, err := l.LookupTimestamp(0); ok || err != nil {
		t.Error(ok, err)
	}
	if _, ok, err := l.MaxTimestamp(); ok || err != nil {
		t.Error(ok, err)
	}
	if e := l.Earliest(); e != (TimestampOffset{-1, 0, -1}) {
		t.Error(e)
	}
	if offsets, err := l.OffsetsBefore(latestTimestamp, 5); err != nil || !slices.Equal(offsets, []int64{0}) {
		t.Error(offsets, err)
	}
}

// TestOffsetsBefore follows UnifiedLog.legacyFetchOffsetsBefore.
func TestOffsetsBefore(t *testing.T) {
	l := lookupLog(t, 1, 2, 3, 4, 5) // segments at 0, 2, 4; the end is 5
	for i, s := range *l.segments.Load() {
		if err := s.SetLastModified(time.UnixMilli(int64(1000 * (i + 1)))); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		ts    int64
		limit int
		want  []int64
	}{
		{latestTimestamp, 10, []int64{5, 4, 2, 0}},
		{latestTimestamp, 2, []int64{5, 4}},
		{latestTimestamp, 0, []int64{}},
		{earliestTimestamp, 10, []int64{0}},
		{999, 10, []int64{}},
		{1000, 10, []int64{0}},
		{2500, 10, []int64{2, 0}},
		{2500, 1, []int64{2}},
		{testNow, 10, []int64{5, 4, 2, 0}},
	}
	for _, tt := range tests {
		got, err := l.OffsetsBefore(tt.ts, tt.limit)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("offsets before %d, at most %d: %v %v, want %v", tt.ts, tt.limit, got, err, tt.want)
		}
	}
	if _, err := l.IncrementStartOffset(3); err != nil {
		t.Fatal(err)
	}
	if got, _ := l.OffsetsBefore(earliestTimestamp, 1); !slices.Equal(got, []int64{3}) {
		t.Errorf("earliest after a start offset was set: %v", got)
	}
}

func TestEpochEndOffset(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	if _, _, ok := l.EpochEndOffset(0); ok {
		t.Error("an empty log knows an epoch")
	}
	appendRecords(t, l, 2, 10)
	appendRecords(t, l, 5, 10)
	if err := l.AssignEpoch(7, 20); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		epoch, found int32
		end          int64
		ok           bool
	}{
		{-1, -1, -1, false}, {1, 1, 0, true}, {2, 2, 10, true}, {3, 2, 10, true}, {5, 5, 20, true}, {6, 5, 20, true}, {7, 7, 20, true}, {8, -1, -1, false},
	}
	for _, tt := range tests {
		if found, end, ok := l.EpochEndOffset(tt.epoch); found != tt.found || end != tt.end || ok != tt.ok {
			t.Errorf("epoch %d: %d %d %v, want %+v", tt.epoch, found, end, ok, tt)
		}
	}
	if e := l.EpochAt(12); e != 5 {
		t.Errorf("epoch at 12: %d", e)
	}
}
