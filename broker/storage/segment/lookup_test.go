package segment

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

func TestFindTimestamp(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	m := &model{base: 10}
	s := e.create(10)
	fill(t, s, m, 30)
	var all []record.Record
	for _, b := range m.batches {
		for r, err := range b.Records() {
			must(t, err)
			all = append(all, r.Clone())
		}
	}
	verify := func(s *Segment) {
		t.Helper()
		for ts := int64(10_050); ts < 10_700; ts += 3 {
			for _, from := range []int64{10, 25, 40} {
				i := slices.IndexFunc(all, func(r record.Record) bool { return r.Timestamp >= ts && r.Offset >= from })
				got, ok, err := s.FindTimestamp(ts, from)
				must(t, err)
				if ok != (i >= 0) || ok && (got.Offset != all[i].Offset || got.Timestamp != all[i].Timestamp || got.LeaderEpoch != 3) {
					t.Fatalf("FindTimestamp(%d, %d) = %+v, %v, want index %d", ts, from, got, ok, i)
				}
			}
		}
		newest := slices.MaxFunc(all, func(a, b record.Record) int { return int(a.Timestamp - b.Timestamp) })
		if got, ok, err := s.MaxTimestampRecord(); err != nil || !ok || got.Offset != newest.Offset {
			t.Fatalf("MaxTimestampRecord = %+v, %v, %v, want offset %d", got, ok, err, newest.Offset)
		}
	}
	verify(s)
	must(t, s.Close())
	verify(e.open(10))
	if _, ok, err := e.create(500).MaxTimestampRecord(); ok || err != nil {
		t.Errorf("MaxTimestampRecord of nothing = %v, %v", ok, err)
	}
}

func TestAborted(t *testing.T) {
	// The first entry is Kafka's own, from its AbortedTxn class.
	first := AbortedTxn{ProducerID: 77, FirstOffset: 10, LastOffset: 20, LastStableOffset: 15}
	const want = "0000000000000000004d000000000000000a0000000000000014000000000000000f"
	if got := hex.EncodeToString(first.AppendTo(nil)); got != want {
		t.Errorf("AppendTo = %s, want %s", got, want)
	}
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(0)
	all := []AbortedTxn{first}
	for i := range int64(300) { // more than a block
		all = append(all, AbortedTxn{ProducerID: i, FirstOffset: 30 + 10*i, LastOffset: 39 + 10*i, LastStableOffset: 30 + 10*i})
	}
	for _, a := range all {
		must(t, s.AppendAborted(a))
	}
	must(t, s.Close())
	s = e.open(0)
	for _, tt := range []struct {
		from, upTo int64
		want       []AbortedTxn
		done       bool
	}{
		{0, 5, nil, true},
		{0, 11, all[:1], true},
		{0, 31, all[:2], true}, // the stable offset 40 of the third ends the search
		{21, 41, all[1:3], true},
		{0, 10_000, all, false},
		{5000, 10_000, nil, false},
	} {
		got, done, err := s.Aborted(nil, tt.from, tt.upTo)
		if err != nil || done != tt.done || !slices.Equal(got, tt.want) {
			t.Errorf("Aborted(%d, %d) = %d entries, done %v, %v, want %d", tt.from, tt.upTo, len(got), done, err, len(tt.want))
		}
	}
	if _, err := ParseAborted(make([]byte, 33)); err == nil {
		t.Error("33 bytes are taken for an entry")
	}
	if _, err := ParseAborted(append([]byte{1, 0}, make([]byte, 32)...)); err == nil {
		t.Error("an unknown version is taken")
	}
}

func TestUpperBound(t *testing.T) {
	both(t, func(t *testing.T, e *env) {
		m := &model{}
		s := e.create(0)
		fill(t, s, m, 40)
		for range 2 {
			size := s.Size()
			for pos := int64(0); pos < size; pos += 100 {
				got, ok, err := s.UpperBound(pos, 150)
				must(t, err)
				if ok && m.position(got) < pos+150 {
					t.Errorf("UpperBound(%d, 150) = %d, which is at %d", pos, got, m.position(got))
				}
				if !ok && pos+150 < size-int64(e.interval)-400 {
					t.Errorf("UpperBound(%d, 150) finds nothing", pos)
				}
			}
			must(t, s.Flush())
		}
	})
}

func TestShouldRoll(t *testing.T) {
	limits := RollLimits{Bytes: 1000, AgeMs: 100, JitterMs: 10}
	state := RollState{Base: 50, Size: 500, CreatedMs: 0, FirstTimestamp: 1000}
	in := Incoming{Size: 100, MaxTimestamp: 1000, LastOffset: 60}
	tests := []struct {
		name   string
		change func(l *RollLimits, s *RollState, in *Incoming)
		want   bool
	}{
		{"nothing", func(*RollLimits, *RollState, *Incoming) {}, false},
		{"just fits", func(_ *RollLimits, _ *RollState, in *Incoming) { in.Size = 500 }, false},
		{"too large", func(_ *RollLimits, _ *RollState, in *Incoming) { in.Size = 501 }, true},
		{"empty, too large", func(_ *RollLimits, s *RollState, in *Incoming) { s.Size = 0; in.Size = 1001 }, true},
		{"as old as allowed", func(_ *RollLimits, _ *RollState, in *Incoming) { in.MaxTimestamp = 1090 }, false},
		{"too old", func(_ *RollLimits, _ *RollState, in *Incoming) { in.MaxTimestamp = 1091 }, true},
		{"too old, but empty", func(_ *RollLimits, s *RollState, in *Incoming) { in.MaxTimestamp = 9999; s.Size = 0 }, false},
		{"no timestamps, by the clock", func(_ *RollLimits, s *RollState, _ *Incoming) { s.FirstTimestamp = -1 }, true},
		{"no timestamps, young", func(_ *RollLimits, s *RollState, _ *Incoming) { s.FirstTimestamp = -1; s.CreatedMs = 4950 }, false},
		{"full index", func(_ *RollLimits, s *RollState, _ *Incoming) { s.IndexFull = true }, true},
		{"offset too far", func(_ *RollLimits, _ *RollState, in *Incoming) { in.LastOffset = 51 + math.MaxInt32 }, true},
		{"farthest offset", func(_ *RollLimits, _ *RollState, in *Incoming) { in.LastOffset = 50 + math.MaxInt32 }, false},
		{"offset below the base", func(_ *RollLimits, _ *RollState, in *Incoming) { in.LastOffset = 49 }, true},
		{"no age limit", func(l *RollLimits, _ *RollState, in *Incoming) { l.AgeMs = math.MaxInt64; in.MaxTimestamp = 1 << 50 }, false},
	}
	for _, tt := range tests {
		l, s, i := limits, state, in
		tt.change(&l, &s, &i)
		if got := ShouldRoll(l, s, i, 5000); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestFirstTimestamp(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(0)
	if got, err := s.FirstTimestamp(); err != nil || got != math.MaxInt64 {
		t.Errorf("FirstTimestamp of nothing = %d, %v", got, err)
	}
	must(t, s.Append(batch(t, 0, 1, 30, 50, 40)))
	must(t, s.Append(batch(t, 3, 1, 90)))
	must(t, s.Close())
	if got, err := e.open(0).FirstTimestamp(); err != nil || got != 50 {
		t.Errorf("FirstTimestamp = %d, %v", got, err)
	}
}

// countingFS counts reads of files.
type countingFS struct {
	vfs.FS
	reads atomic.Int64
}

type countingFile struct {
	vfs.File
	fs *countingFS
}

func (c *countingFS) OpenFile(path string, flag int) (vfs.File, error) {
	f, err := c.FS.OpenFile(path, flag)
	return countingFile{f, c}, err
}

func (f countingFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.reads.Add(1)
	return f.File.ReadAt(p, off)
}

// Consumers and followers that keep up, and high watermarks that follow, cost no read of any file.
func TestTailReadsTouchNoDisk(t *testing.T) {
	fsys := &countingFS{FS: vfs.NewMem()}
	e := newEnv(t, fsys, "d")
	m := &model{}
	s := e.create(0)
	fill(t, s, m, 100)
	follower, consumer, watermark := m.next(), m.next(), m.next()
	r, err := s.Read(follower, m.next(), 1<<20, true)
	must(t, err)
	before := fsys.reads.Load()
	if r.Section != nil {
		t.Error("something to read at the end")
	}
	for i := range 3 * recentMax {
		fill(t, s, m, 1)
		if i%10 > 7 {
			continue // appends may come between reads
		}
		for _, at := range []struct {
			offset *int64
			upTo   int64
		}{{&follower, m.next()}, {&consumer, watermark}} {
			r, err := s.Read(*at.offset, at.upTo, 1<<20, true)
			must(t, err)
			if r.Section != nil {
				r.Section.Release()
			}
			*at.offset = max(*at.offset, at.upTo)
		}
		watermark = follower // it follows a fetch later
	}
	if n := fsys.reads.Load() - before; n != 0 {
		t.Errorf("%d reads at the tail", n)
	}
}

func TestConcurrentReaders(t *testing.T) {
	e := newEnv(t, vfs.OS, t.TempDir())
	s := e.create(0)
	var end atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			for !stop.Load() {
				upTo := end.Load()
				offset := rng.Int64N(upTo + 1)
				if err := readOne(s, offset, upTo); err != nil {
					t.Error(err)
					return
				}
				if _, _, err := s.FindTimestamp(offset, 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			if err := s.Flush(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range int64(1500) {
		if err := s.Append(batch(t, i, 30, i)); err != nil {
			t.Error(err)
			break
		}
		end.Store(i + 1)
	}
	stop.Store(true)
	wg.Wait()
	must(t, s.Close())
	if n := len(e.file(0, IndexExt)) / offsetWidth; n < 300 {
		t.Errorf("%d index entries", n)
	}
	s = e.open(0)
	if next, err := s.NextOffset(); err != nil || next != 1500 {
		t.Errorf("NextOffset = %d, %v", next, err)
	}
}

// readOne reads one batch and checks that it is the right one: each holds one record here.
func readOne(s *Segment, offset, upTo int64) error {
	r, err := s.Read(offset, upTo, 1, true)
	if err != nil || r.Section == nil {
		if err == nil && offset < upTo {
			err = fmt.Errorf("nothing at %d of %d", offset, upTo)
		}
		return err
	}
	defer r.Section.Release()
	data := make([]byte, r.Section.Size())
	if _, err := r.Section.ReadAt(data, 0); err != nil {
		return err
	}
	b, rest, err := record.Next(data)
	if err != nil || len(rest) != 0 || b.BaseOffset() != offset {
		return fmt.Errorf("read of %d returns offset %d, %d bytes more, %v", offset, b.BaseOffset(), len(rest), err)
	}
	return nil
}

// Readers that run into truncations see old or new batches, never the middle of one.
func TestReadsDuringTruncation(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	e.interval = 0
	s := e.create(0)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 9))
			for !stop.Load() {
				offset := rng.Int64N(60)
				pos, err := s.Position(offset)
				if err != nil {
					t.Errorf("Position(%d): %v", offset, err)
					return
				}
				_ = pos
			}
		})
	}
	next := int64(0)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 400 {
		for range 10 {
			must(t, s.Append(batch(t, next, rng.IntN(200), 1)))
			next++
		}
		if i%3 == 0 {
			must(t, s.Flush())
		}
		next = rng.Int64N(min(next, 50))
		_, err := s.Truncate(next, 0)
		must(t, err)
	}
	stop.Store(true)
	wg.Wait()
	var walked bytes.Buffer
	must(t, s.EachBatch(0, func(b record.Batch) error { walked.Write(b); return b.Check() }))
	if int64(walked.Len()) != s.Size() {
		t.Errorf("%d of %d bytes are batches", walked.Len(), s.Size())
	}
}

// A reader that goes through a log of large batches costs two reads a request, of the index and of a
// batch's header, each some microseconds at worst.
func TestReadingThroughLargeBatchesReadsLittle(t *testing.T) {
	fsys := &countingFS{FS: vfs.NewMem()}
	e := newEnv(t, fsys, "data")
	e.interval = 100
	s := e.create(0)
	m := &model{}
	for i := range int64(300) {
		b := batch(t, i, 1000, 1)
		must(t, s.Append(b))
		m.batches = append(m.batches, b)
	}
	must(t, s.Flush())
	const from, to = 10, 200 // far behind what recent appends remember
	fsys.reads.Store(0)
	for offset := int64(from); offset < to; {
		r, err := s.Read(offset, 300, 2500, true)
		must(t, err)
		data := make([]byte, r.Section.Size())
		if _, err := r.Section.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		fsys.reads.Add(-1) // that was the test's
		r.Section.Release()
		if !bytes.Equal(data[:len(m.batches[offset])], m.batches[offset]) {
			t.Fatalf("offset %d: not the batch that holds it", offset)
		}
		offset += int64(len(data) / len(m.batches[0]))
	}
	if reads, requests := fsys.reads.Load(), int64(to-from)/2; reads > 2*requests+4 {
		t.Errorf("%d reads for %d requests", reads, requests)
	}
}

// Delayed fetches ask again and again where a log begins that has not been written to since the start.
func TestFirstBatchIsReadOnce(t *testing.T) {
	fsys := &countingFS{FS: vfs.NewMem()}
	e := newEnv(t, fsys, "data")
	s := e.create(0)
	fill(t, s, &model{}, 40)
	must(t, errors.Join(s.Seal(), s.Close()))
	s = e.open(0)
	for n := range 3 {
		if pos, err := s.Position(0); pos != 0 || err != nil {
			t.Errorf("position %d, %v", pos, err)
		}
		if n == 0 {
			fsys.reads.Store(0)
		}
	}
	if reads := fsys.reads.Load(); reads > 0 {
		t.Errorf("%d more reads", reads)
	}
}

// An offset index with a flipped bit leads into the middle of a batch, to another batch, or nowhere. Every offset is found
// all the same, and what is read are whole batches.
func TestReadByDamagedIndex(t *testing.T) {
	for _, magic := range []int8{record.MagicV0, record.MagicV1, record.MagicV2} {
		for _, value := range []byte{0, 0xff} { // zeros look most like the beginning of a batch
			t.Run(fmt.Sprintf("v%d of %x", magic, value), func(t *testing.T) {
				m := &model{}
				for len(m.batches) < 24 {
					n := len(m.batches)
					bu := record.NewBuilder(magic, record.BuilderOptions{BaseOffset: m.next()})
					for range 1 + n%3 {
						must(t, bu.Append(record.Record{Timestamp: int64(n), Value: bytes.Repeat([]byte{value}, 10+n*37%90)}))
					}
					b, err := bu.Build(nil)
					must(t, err)
					m.add(b)
				}
				readByDamagedIndex(t, m)
			})
		}
	}
}

func readByDamagedIndex(t *testing.T, m *model) {
	fsys := vfs.NewMem()
	e := newEnv(t, fsys, "d")
	s := e.create(0)
	ends := map[int64]bool{m.position(m.next()): true}
	for _, b := range m.batches {
		must(t, s.Append(b))
		ends[m.position(b.BaseOffset())] = true
	}
	must(t, s.Close())
	index := e.file(0, IndexExt)
	for bit := range 8 * len(index) {
		damaged := bytes.Clone(index)
		damaged[bit/8] ^= 1 << (bit % 8)
		must(t, vfs.WriteFile(fsys, filepath.Join("d", FileName(0, IndexExt)), damaged))
		s := e.open(0)
		for _, limit := range []int{1, 300} {
			for offset := range m.next() {
				r, err := s.Read(offset, m.next(), limit, true)
				must(t, err)
				got := int64(len(content(t, r.Section)))
				if r.Position != m.position(offset) || got == 0 || !ends[r.Position+got] {
					t.Fatalf("bit %d of entry %x: Read(%d, end, %d) = %d bytes at %d, should be whole batches at %d",
						bit%64, index[bit/64*8:][:8], offset, limit, got, r.Position, m.position(offset))
				}
			}
		}
		s.Abandon()
	}
}
