package storage

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// What is appended together is in the log, and is answered, as if each append had been alone: offsets,
// duplicates, refusals, where segments begin, and the very bytes of the files.
func TestAppendsTogetherAreAsIfAlone(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			alone, together := vfs.NewMem(), vfs.NewMem()
			c := DefaultLogConfig()
			c.SegmentBytes, c.IndexIntervalBytes = 2000, 200
			one := mustCreate(t, mustOpen(t, testOptions(alone)), orders, c)
			all := mustCreate(t, mustOpen(t, testOptions(together)), orders, c)
			rng := rand.New(rand.NewPCG(seed, 0))
			next := producerHistory(t, rng)
			for range 20 {
				var appends []Append
				for range 1 + rng.IntN(8) {
					o := AppendOptions{Epoch: int32(seed % 3), Now: testNow + rng.Int64N(1000)}
					appends = append(appends, Append{Records: next(), Options: o})
				}
				var want []string
				for _, a := range appends {
					done, err := one.AppendLeader(slices.Clone(a.Records), a.Options)
					done.LogEnd = 0 // that of those appended together is the end of all of them
					want = append(want, fmt.Sprintf("%+v %v", done, err))
				}
				all.AppendLeaderAll(appends)
				for i, a := range appends {
					a.Done.LogEnd = 0
					if got := fmt.Sprintf("%+v %v", a.Done, a.Err); got != want[i] {
						t.Fatalf("append %d of %d together: %s\nalone: %s", i, len(appends), got, want[i])
					}
				}
				if one.EndOffset() != all.EndOffset() {
					t.Fatalf("the log ends at %d, alone at %d", all.EndOffset(), one.EndOffset())
				}
			}
			if got, want := one.Producers(), all.Producers(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("producers %v, alone %v", want, got)
			}
			for _, l := range []*Log{one, all} {
				if err := l.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			want, got := logFiles(t, alone), logFiles(t, together)
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if got[name] != want[name] {
					t.Errorf("%s differs: %d bytes, alone %d", name, len(got[name]), len(want[name]))
				}
			}
			if len(got) != len(want) {
				t.Errorf("files %v, alone %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		})
	}
}

// What is appended together is written at once in every segment, not only in the one that begins at 0; and
// the offset that no index of the segment can express begins another one, whichever append it is in.
func TestAppendsTogetherBehindTheFirstSegment(t *testing.T) {
	writes := 0
	fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Path, ".log") {
			writes++
		}
		return nil
	})
	l := mustCreate(t, mustOpen(t, testOptions(fsys)), orders, DefaultLogConfig())
	few := func() []Append {
		appends := make([]Append, 4)
		for i := range appends {
			appends[i] = Append{Records: batch(t, batchOpts{timestamp: testNow, count: 2}), Options: AppendOptions{Now: testNow}}
		}
		return appends
	}
	const last = math.MaxInt32 // that a segment that begins at 0 can hold
	if _, err := l.AppendFollower(batch(t, batchOpts{base: last - 4, timestamp: testNow})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		first    int64
		writes   int
		segments int
	}{
		{last - 3, 3, 2}, // last-3 to last; what begins the new segment is alone; the rest
		{last + 5, 1, 2},
	} {
		writes = 0
		appends := few()
		l.AppendLeaderAll(appends)
		for i, a := range appends {
			if a.Err != nil || a.Done.First != want.first+2*int64(i) {
				t.Fatalf("append %d is at %d: %v", i, a.Done.First, a.Err)
			}
		}
		if n := len(*l.segments.Load()); writes != want.writes || n != want.segments {
			t.Errorf("from offset %d on: %d writes, %d segments, want %+v", want.first, writes, n, want)
		}
	}
}

// producerHistory returns what three producers send next: mostly what is in order, now and then again
// what they have sent before, something out of order, too large, or not a batch at all.
func producerHistory(t *testing.T, rng *rand.Rand) func() []byte {
	var sequence [3]int32
	var before [][]byte
	return func() []byte {
		id := rng.IntN(len(sequence))
		switch rng.IntN(12) {
		case 0:
			if len(before) > 0 {
				return slices.Clone(before[max(0, len(before)-1-rng.IntN(8))])
			}
		case 1:
			return batch(t, batchOpts{timestamp: testNow, producer: &record.ProducerInfo{ID: int64(id), Sequence: sequence[id] + 7}})
		case 2:
			return batch(t, batchOpts{timestamp: testNow, size: 2500}) // larger than a segment
		case 3:
			broken := batch(t, batchOpts{timestamp: testNow})
			broken[len(broken)-1]++
			return broken
		case 4:
			return nil
		case 5:
			return batch(t, batchOpts{timestamp: testNow + rng.Int64N(100), count: 1 + rng.IntN(5)}) // no producer
		}
		o := batchOpts{timestamp: testNow, count: 1 + rng.IntN(5), size: 10 + rng.IntN(60),
			producer: &record.ProducerInfo{ID: int64(id), Sequence: sequence[id]}}
		sequence[id] += int32(o.count)
		sent := batch(t, o)
		before = append(before, slices.Clone(sent))
		return sent
	}
}

// logFiles returns the files of the log of orders, by name, but for those that hold random ids.
func logFiles(t *testing.T, fsys vfs.FS) map[string]string {
	t.Helper()
	dir := filepath.Join("data", orders.String())
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, "partition.") {
			continue
		}
		data, err := vfs.ReadFile(fsys, filepath.Join(dir, e.Name))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name] = string(data)
	}
	return files
}
