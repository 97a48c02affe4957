package storage

import (
	"errors"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestReadOfADamagedSegment reads a segment that is damaged below the recovery point, which a start does not look at.
// A consumer is never given a part of a batch, with which it could not go on: it finds what follows, or CORRUPT_MESSAGE,
// as in Kafka (FileRecords.searchForOffsetWithSize, FileLogInputStream.nextBatch). Segments are at 0, 10 and 20, with
// two batches of five records each.
func TestReadOfADamagedSegment(t *testing.T) {
	cutAt := func(keep func(first int) int) func(data []byte) []byte {
		return func(data []byte) []byte {
			size, _ := record.PeekSize(data)
			return data[:keep(size)]
		}
	}
	tests := []struct {
		name   string
		damage func(data []byte) []byte
		found  int64 // base of the batch that a read at 10 finds; -1: it is corrupt
		next   int64 // the one that a read at 15 finds
	}{
		{"the first batch is cut off", cutAt(func(first int) int { return first - 10 }), 20, 20},
		{"the second batch is cut off", cutAt(func(first int) int { return first + 50 }), 10, 20},
		{"less than a header is left", cutAt(func(int) int { return 16 }), 20, 20},
		{"the size of the first batch is impossible", func(data []byte) []byte {
			copy(data[8:], []byte{0, 0, 0, 5})
			return data
		}, -1, -1},
		{"the size of the first batch is beyond the end", func(data []byte) []byte {
			data[8] = 1
			return data
		}, 20, 20},
	}
	for _, tt := range tests {
		for _, maxBytes := range []int{1, 300, 1 << 20} {
			t.Run(tt.name, func(t *testing.T) {
				fsys := loadFixture(t)
				file := name(10, segment.LogExt)
				write(t, fsys, file, tt.damage(read(t, fsys, file)))
				logger, hook := logtest.NewNullLogger()
				o := loadOptions(fsys)
				o.Logger = logger
				l := mustOpen(t, o).Log(orders)
				for range 100 { // as a consumer that tries again and again
					readsAt(t, l, 10, maxBytes, tt.found)
					readsAt(t, l, 15, maxBytes, tt.next)
				}
				if err := l.online(); err != nil {
					t.Error(err)
				}
				if n := loud(hook); n > 10 {
					t.Errorf("%d lines were logged for 200 reads", n)
				}
			})
		}
	}
}

// TestHoleIsTold: no checksum covers the offset of a batch. Who asks for the records of one whose offset has changed gets
// what follows, as from Kafka, but once it is told that they are missing.
func TestHoleIsTold(t *testing.T) {
	mem := vfs.NewMem()
	m := mustOpen(t, testOptions(mem))
	l := mustCreate(t, m, orders, DefaultLogConfig())
	for range 3 {
		appendRecords(t, l, 0, 5)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	data := read(t, mem, name(0, segment.LogExt))
	size, err := record.PeekSize(data)
	if err != nil {
		t.Fatal(err)
	}
	data[size+7] = 0 // the second batch, at 5
	write(t, mem, name(0, segment.LogExt), data)
	logger, hook := logtest.NewNullLogger()
	o := testOptions(mem)
	o.Logger = logger
	l = mustOpen(t, o).Log(orders)
	for range 10 {
		readsAt(t, l, 5, 1<<20, 10)
	}
	if n := loud(hook); n != 1 {
		t.Errorf("%d lines tell that records are missing", n)
	}
}

func loud(hook *logtest.Hook) (n int) {
	for _, e := range hook.AllEntries() {
		if e.Level <= logrus.WarnLevel {
			n++
		}
	}
	return n
}

func readsAt(t *testing.T, l *Log, offset int64, maxBytes int, want int64) {
	t.Helper()
	r, err := l.Read(offset, maxBytes, l.EndOffset(), true)
	if want < 0 {
		if !errors.Is(err, record.ErrCorrupt) || errors.Is(err, ErrStorage) {
			t.Fatalf("read at %d: %v", offset, err)
		}
		return
	}
	if err != nil || r.Section == nil {
		t.Fatalf("read at %d: %v, section %v", offset, err, r.Section)
	}
	defer r.Section.Release()
	data := make([]byte, r.Section.Size())
	r.Section.ReadAt(data, 0)
	if b, _, err := record.Next(data); err != nil || b.BaseOffset() != want {
		t.Fatalf("read at %d finds %d bytes: %v", offset, len(data), err)
	}
}
