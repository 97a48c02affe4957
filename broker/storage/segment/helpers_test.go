package segment

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// env is a directory with room for segments.
type env struct {
	t        testing.TB
	fs       vfs.FS
	dir      *Dir
	files    *vfs.Cache
	interval int
	maxIndex int
}

func newEnv(t testing.TB, fsys vfs.FS, path string) *env {
	t.Helper()
	if err := fsys.MkdirAll(path); err != nil {
		t.Fatal(err)
	}
	return &env{t: t, fs: fsys, dir: NewDir(fsys, path, nil), files: vfs.NewCache(3), interval: 200, maxIndex: 1 << 20}
}

func (e *env) options(base int64) Options {
	return Options{Dir: e.dir, Files: e.files, Base: base,
		IndexIntervalBytes: e.interval, MaxIndexBytes: e.maxIndex, NowMs: 1000}
}

func (e *env) create(base int64) *Segment {
	e.t.Helper()
	s, err := Create(e.options(base))
	if err != nil {
		e.t.Fatal(err)
	}
	return s
}

func (e *env) open(base int64) *Segment {
	e.t.Helper()
	s, err := Open(e.options(base))
	if err != nil {
		e.t.Fatal(err)
	}
	return s
}

func (e *env) file(base int64, ext string) []byte {
	e.t.Helper()
	data, err := vfs.ReadFile(e.fs, filepath.Join(e.dir.Path(), FileName(base, ext)))
	if err != nil {
		e.t.Fatal(err)
	}
	return data
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// batch builds a v2 batch at base; the records have the given timestamps and size bytes of value.
func batch(t testing.TB, base int64, size int, timestamps ...int64) []byte {
	t.Helper()
	bu := record.NewBuilder(record.MagicV2, record.BuilderOptions{BaseOffset: base, LeaderEpoch: 3})
	for _, ts := range timestamps {
		must(t, bu.Append(record.Record{Timestamp: ts, Value: bytes.Repeat([]byte{'v'}, size)}))
	}
	b, err := bu.Build(nil)
	must(t, err)
	return b
}

// model is what a segment should hold: whole batches.
type model struct {
	base    int64
	batches []record.Batch
}

func (m *model) add(records []byte) {
	for len(records) > 0 {
		b, rest, err := record.Next(records)
		if err != nil {
			panic(err)
		}
		m.batches = append(m.batches, append(record.Batch(nil), b...))
		records = rest
	}
}

func (m *model) next() int64 {
	if len(m.batches) == 0 {
		return m.base
	}
	return m.batches[len(m.batches)-1].NextOffset()
}

func (m *model) bytes() []byte {
	var all []byte
	for _, b := range m.batches {
		all = append(all, b...)
	}
	return all
}

// position returns where the batch that holds offset begins.
func (m *model) position(offset int64) int64 {
	var pos int64
	for _, b := range m.batches {
		if b.LastOffset() >= offset {
			break
		}
		pos += int64(len(b))
	}
	return pos
}

// read is what Segment.Read should return: the bytes, and how many it should find.
func (m *model) read(offset, upTo int64, maxBytes int, minOne bool) ([]byte, int64) {
	start, end := m.position(offset), m.position(upTo)
	if start >= end {
		return nil, 0
	}
	all := m.bytes()[start:end]
	limit := max(maxBytes, 0)
	if len(all) <= limit {
		return all, int64(len(all))
	}
	whole := 0
	for {
		b, _, err := record.Next(all[whole:])
		switch {
		case err != nil:
			panic(err)
		case whole+len(b) <= limit:
			whole += len(b)
		case whole > 0:
			return all[:whole], int64(limit)
		case minOne:
			return b, int64(len(b))
		default:
			return all[:limit], int64(limit)
		}
	}
}

func (m *model) truncate(offset int64) {
	for i, b := range m.batches {
		if b.LastOffset() >= offset {
			m.batches = m.batches[:i]
			return
		}
	}
}

func content(t testing.TB, x request.Section) []byte {
	t.Helper()
	if x == nil {
		return nil
	}
	defer x.Release()
	data, err := io.ReadAll(io.NewSectionReader(x, 0, x.Size()))
	must(t, err)
	if int64(len(data)) != x.Size() {
		t.Errorf("section of %d bytes holds %d", x.Size(), len(data))
	}
	return data
}

// checkReads compares reads from every offset with the model.
func checkReads(t testing.TB, s *Segment, m *model) {
	t.Helper()
	next := m.next()
	for offset := m.base; offset <= next+1; offset++ {
		for _, upTo := range []int64{next, next + 5, (m.base + next) / 2} {
			for _, limit := range []int{0, 70, 500, 1 << 20} {
				for _, minOne := range []bool{false, true} {
					r, err := s.Read(offset, upTo, limit, minOne)
					must(t, err)
					got := content(t, r.Section)
					if want, found := m.read(offset, upTo, limit, minOne); !bytes.Equal(got, want) || r.Found != found {
						t.Fatalf("Read(%d, %d, %d, %v) = %d of %d bytes at %d, want %d of %d at %d", offset, upTo, limit, minOne,
							len(got), r.Found, r.Position, len(want), found, m.position(offset))
					}
				}
			}
		}
	}
}

// check compares all that can be asked of a segment with the model.
func check(t testing.TB, s *Segment, m *model) {
	t.Helper()
	if next, err := s.NextOffset(); err != nil || next != m.next() {
		t.Fatalf("NextOffset = %d, %v, want %d", next, err, m.next())
	}
	if s.Size() != int64(len(m.bytes())) {
		t.Fatalf("Size = %d, want %d", s.Size(), len(m.bytes()))
	}
	want := TimestampOffset{Timestamp: -1, Offset: m.base}
	for _, b := range m.batches {
		if b.MaxTimestamp() > want.Timestamp {
			want = TimestampOffset{Timestamp: b.MaxTimestamp(), Offset: b.LastOffset()}
		}
	}
	if got, err := s.MaxTimestamp(); err != nil || got != want {
		t.Fatalf("MaxTimestamp = %v, %v, want %v", got, err, want)
	}
	var walked []byte
	must(t, s.EachBatch(m.base, func(b record.Batch) error { walked = append(walked, b...); return nil }))
	if !bytes.Equal(walked, m.bytes()) {
		t.Fatalf("EachBatch yields %d bytes, want %d", len(walked), len(m.bytes()))
	}
	checkReads(t, s, m)
}

// fill appends n batches of one to three records and irregular timestamps.
func fill(t testing.TB, s *Segment, m *model, n int) {
	t.Helper()
	for i := range n {
		next := m.next()
		ts := make([]int64, 1+(int(next)+i)%3)
		for k := range ts {
			ts[k] = 10_000 + next*10 - int64(i%4)*15 + int64(k)
		}
		b := batch(t, next, 10+int(next)%90, ts...)
		must(t, s.Append(b))
		m.add(b)
	}
}
