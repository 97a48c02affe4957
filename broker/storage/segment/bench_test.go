package segment

import (
	"fmt"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

func BenchmarkAppend(b *testing.B) {
	e := newEnv(b, vfs.OS, b.TempDir())
	e.interval = 4096
	data := batch(b, 0, 1000, 1)
	base := int64(0)
	s := e.create(base)
	next := base
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if s.Size() > 64<<20 {
			b.StopTimer()
			must(b, s.Delete())
			base = next
			s = e.create(base)
			b.StartTimer()
		}
		record.Batch(data).SetBaseOffset(next)
		if err := s.Append(data); err != nil {
			b.Fatal(err)
		}
		next++
	}
}

func BenchmarkReadTail(b *testing.B) {
	e := newEnv(b, vfs.OS, b.TempDir())
	m := &model{}
	s := e.create(0)
	fill(b, s, m, 100)
	last := m.batches[len(m.batches)-1].BaseOffset()
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Read(last, m.next(), 1<<20, true)
		if err != nil {
			b.Fatal(err)
		}
		r.Section.Release()
	}
}

func BenchmarkReadBehind(b *testing.B) {
	e := newEnv(b, vfs.OS, b.TempDir())
	e.interval = 4096
	s := e.create(0)
	const batches = 60_000
	for i := range int64(batches) {
		must(b, s.Append(batch(b, i, 500, 1)))
	}
	must(b, s.Flush())
	b.ReportAllocs()
	offset := int64(0)
	for b.Loop() {
		r, err := s.Read(offset, batches, 64<<10, true)
		if err != nil {
			b.Fatal(err)
		}
		r.Section.Release()
		offset = (offset + 113) % (batches - 200)
	}
}

// BenchmarkReadThrough reads as a consumer does that lags behind: each time where the last batch ended.
func BenchmarkReadThrough(b *testing.B) {
	for _, size := range []int{500, 15_000} {
		b.Run(fmt.Sprintf("batches of %d", size), func(b *testing.B) {
			e := newEnv(b, vfs.OS, b.TempDir())
			e.interval = 4096
			s := e.create(0)
			batches := int64(60_000_000 / size)
			var one int64
			for i := range batches {
				records := batch(b, i, size, 1)
				one = int64(len(records))
				must(b, s.Append(records))
			}
			must(b, s.Flush())
			b.ReportAllocs()
			offset := int64(0)
			for b.Loop() {
				r, err := s.Read(offset, batches, 64<<10, true)
				if err != nil {
					b.Fatal(err)
				}
				if offset += r.Section.Size() / one; offset > batches-200 {
					offset = 0
				}
				r.Section.Release()
			}
		})
	}
}

// An append allocates nothing but, now and then, room for index entries.
func TestAppendDoesNotAllocate(t *testing.T) {
	e := newEnv(t, vfs.OS, t.TempDir())
	s := e.create(0)
	data := batch(t, 0, 100, 1)
	next, list := int64(0), [][]byte{data} // the owner uses one list again and again
	appendOne := func() {
		record.Batch(data).SetBaseOffset(next)
		must(t, s.Append(list...))
		next++
	}
	for range 2 * recentMax {
		appendOne()
	}
	if n := testing.AllocsPerRun(1000, appendOne); n > 0.1 {
		t.Errorf("%v allocations per append", n)
	}
}
