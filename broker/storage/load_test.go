package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

const logDir = "data/orders-0"

// loadFixture makes a log of three segments at 0, 10 and 20, with batches of 5 records of epoch i/10
// by one producer, stopped cleanly, and returns its file system.
func loadFixture(t testing.TB) *vfs.Mem {
	t.Helper()
	fsys := vfs.NewMem()
	m, err := open(loadOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	c := loadConfig()
	l := mustCreate(t, m, orders, c)
	for i := range 6 {
		_, err := l.AppendLeader(batch(t, batchOpts{count: 5, size: 20, timestamp: testNow + int64(10*i), producer: &record.ProducerInfo{ID: 9, Sequence: int32(5 * i)}}),
			AppendOptions{Epoch: int32(i / 2), Now: testNow})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.SetHighWatermark(30)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func loadConfig() LogConfig {
	c := DefaultLogConfig()
	c.SegmentBytes = 460
	c.IndexIntervalBytes = 100
	return c
}

func loadOptions(fsys vfs.FS) Options {
	o := testOptions(fsys)
	o.TopicConfig = func(string) LogConfig { return loadConfig() }
	return o
}

func write(t testing.TB, fsys vfs.FS, name string, data []byte) {
	t.Helper()
	if err := writeFile(fsys, name, data); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	data, err := vfs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func remove(t testing.TB, fsys vfs.FS, name string) {
	t.Helper()
	if err := fsys.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// crashed makes a clean stop look like a crash, with a recovery point.
func crashed(t testing.TB, fsys vfs.FS, recoveryPoint int64) {
	t.Helper()
	remove(t, fsys, "data/"+checkpoint.CleanShutdown)
	if err := checkpoint.WriteOffsets(fsys, "data/"+checkpoint.RecoveryPoints, checkpoint.Offsets{orders: recoveryPoint}); err != nil {
		t.Fatal(err)
	}
}

func name(base int64, ext string) string {
	return filepath.Join(logDir, segment.FileName(base, ext))
}

// cut removes the last n bytes of a file.
func cut(t testing.TB, fsys vfs.FS, file string, n int) {
	t.Helper()
	data := read(t, fsys, file)
	write(t, fsys, file, data[:len(data)-n])
}

// flip changes one byte of a file.
func flip(t testing.TB, fsys vfs.FS, file string, at int) {
	t.Helper()
	data := read(t, fsys, file)
	data[at] ^= 0x10
	write(t, fsys, file, data)
}

// TestLoad follows LogLoader: what is done to a directory, and what is there after a start.
func TestLoad(t *testing.T) {
	half := 225 // bytes of one batch, about
	tests := []struct {
		name     string
		do       func(t *testing.T, fsys vfs.FS)
		start    int64
		end      int64
		segments []int64
		sequence int32 // of the producer; 0: 29
		point    int64 // recovery point; 0: end
	}{
		{name: "a clean stop", do: func(*testing.T, vfs.FS) {}, end: 30, segments: []int64{0, 10, 20}},
		{name: "a crash that lost nothing", do: func(t *testing.T, fsys vfs.FS) { crashed(t, fsys, 10) },
			end: 30, segments: []int64{0, 10, 20}, point: 10},
		{name: "a torn tail", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 20)
			cut(t, fsys, name(20, segment.LogExt), 7)
		}, end: 25, segments: []int64{0, 10, 20}, sequence: 24, point: 20},
		{name: "zeros behind the end, as preallocation leaves them", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 20)
			write(t, fsys, name(20, segment.LogExt), append(read(t, fsys, name(20, segment.LogExt)), make([]byte, 1000)...))
		}, end: 30, segments: []int64{0, 10, 20}, point: 20},
		{name: "a flipped bit above the recovery point", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 10)
			flip(t, fsys, name(10, segment.LogExt), half+80)
		}, end: 15, segments: []int64{0, 10}, sequence: 14, point: 10},
		{name: "a flipped bit below the recovery point is not looked for", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 20)
			flip(t, fsys, name(0, segment.LogExt), half+80)
		}, end: 30, segments: []int64{0, 10, 20}, point: 20},
		{name: "a whole batch lost at the end of a segment", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 0)
			data := read(t, fsys, name(10, segment.LogExt))
			size, _ := record.PeekSize(data)
			write(t, fsys, name(10, segment.LogExt), data[:size])
		}, end: 15, segments: []int64{0, 10}, sequence: 14, point: 0},
		{name: "no recovery point", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 0)
			remove(t, fsys, "data/"+checkpoint.RecoveryPoints)
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "a recovery point that cannot be read", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 0)
			write(t, fsys, "data/"+checkpoint.RecoveryPoints, []byte("nonsense"))
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "a missing index", do: func(t *testing.T, fsys vfs.FS) { remove(t, fsys, name(10, segment.IndexExt)) },
			end: 30, segments: []int64{0, 10, 20}},
		{name: "an index of an impossible size", do: func(t *testing.T, fsys vfs.FS) { cut(t, fsys, name(0, segment.IndexExt), 3) },
			end: 30, segments: []int64{0, 10, 20}},
		{name: "a time index that is missing", do: func(t *testing.T, fsys vfs.FS) { remove(t, fsys, name(20, segment.TimeExt)) },
			end: 30, segments: []int64{0, 10, 20}},
		{name: "indexes without a log", do: func(t *testing.T, fsys vfs.FS) {
			write(t, fsys, name(40, segment.IndexExt), nil)
			write(t, fsys, name(40, segment.TxnExt), nil)
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "deleted and cleaned files", do: func(t *testing.T, fsys vfs.FS) {
			write(t, fsys, name(50, segment.LogExt)+segment.DeletedSuffix, []byte("x"))
			write(t, fsys, name(0, segment.LogExt)+segment.CleanedSuffix, []byte("x"))
			write(t, fsys, name(0, segment.IndexExt)+segment.CleanedSuffix, []byte("x"))
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "a segment that retention had removed comes back", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 30)
			if err := fsys.Rename(name(10, segment.LogExt), name(10, segment.LogExt)+segment.DeletedSuffix); err != nil {
				t.Fatal(err)
			}
		}, start: 20, end: 30, segments: []int64{20}, point: 30},
		{name: "a replacement is completed", do: func(t *testing.T, fsys vfs.FS) { // of 0 and 10 by one segment
			merged := append(read(t, fsys, name(0, segment.LogExt)), read(t, fsys, name(10, segment.LogExt))...)
			write(t, fsys, name(0, segment.LogExt)+segment.SwapSuffix, merged)
		}, end: 30, segments: []int64{0, 20}},
		{name: "a replacement that had not begun is undone", do: func(t *testing.T, fsys vfs.FS) {
			write(t, fsys, name(10, segment.LogExt)+segment.SwapSuffix, []byte("x"))
			write(t, fsys, name(0, segment.LogExt)+segment.CleanedSuffix, []byte("x"))
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "a start offset", do: func(t *testing.T, fsys vfs.FS) {
			checkpoint.WriteOffsets(fsys, "data/"+checkpoint.LogStarts, checkpoint.Offsets{orders: 12})
		}, start: 12, end: 30, segments: []int64{0, 10, 20}},
		{name: "a log that ends below its start offset", do: func(t *testing.T, fsys vfs.FS) {
			checkpoint.WriteOffsets(fsys, "data/"+checkpoint.LogStarts, checkpoint.Offsets{orders: 99})
			checkpoint.WriteOffsets(fsys, "data/"+checkpoint.HighWatermarks, checkpoint.Offsets{orders: 99})
		}, start: 99, end: 99, segments: []int64{99}, sequence: -1},
		{name: "a start offset that the log has never reached", do: func(t *testing.T, fsys vfs.FS) {
			checkpoint.WriteOffsets(fsys, "data/"+checkpoint.LogStarts, checkpoint.Offsets{orders: 31})
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "a start offset that the log has never reached, after a crash", do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 10)
			checkpoint.WriteOffsets(fsys, "data/"+checkpoint.LogStarts, checkpoint.Offsets{orders: 99})
		}, end: 30, segments: []int64{0, 10, 20}, point: 10},
		{name: "no segment", do: func(t *testing.T, fsys vfs.FS) {
			for _, base := range []int64{0, 10, 20} {
				remove(t, fsys, name(base, segment.LogExt))
			}
		}, segments: []int64{}, sequence: -1},
		{name: "a snapshot that cannot be read", do: func(t *testing.T, fsys vfs.FS) { flip(t, fsys, name(30, segment.SnapshotExt), 20) },
			end: 30, segments: []int64{0, 10, 20}},
		{name: "no snapshot", do: func(t *testing.T, fsys vfs.FS) {
			for _, base := range []int64{10, 20, 30} {
				remove(t, fsys, name(base, segment.SnapshotExt))
			}
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "stray snapshots", do: func(t *testing.T, fsys vfs.FS) {
			for _, base := range []int64{3, 17, 27, 90} {
				write(t, fsys, name(base, segment.SnapshotExt), []byte("x"))
			}
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "epochs that cannot be read", do: func(t *testing.T, fsys vfs.FS) {
			write(t, fsys, logDir+"/"+checkpoint.LeaderEpochs, []byte("x"))
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "epochs of records that are gone", do: func(t *testing.T, fsys vfs.FS) {
			write(t, fsys, logDir+"/"+checkpoint.LeaderEpochs, []byte("0\n4\n0 0\n1 10\n2 20\n7 30\n"))
		}, end: 30, segments: []int64{0, 10, 20}},
		{name: "temporary and foreign files", do: func(t *testing.T, fsys vfs.FS) {
			write(t, fsys, logDir+"/"+checkpoint.LeaderEpochs+".tmp", []byte("x"))
			write(t, fsys, logDir+"/notes.txt", []byte("x"))
			write(t, fsys, "data/notes.txt", []byte("x"))
		}, end: 30, segments: []int64{0, 10, 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := loadFixture(t)
			tt.do(t, fsys)
			m := mustOpen(t, loadOptions(fsys))
			l := m.Log(orders)
			if l == nil {
				t.Fatal("no log")
			}
			if l.StartOffset() != tt.start || l.EndOffset() != tt.end || !slices.Equal(l.Segments(), tt.segments) {
				t.Errorf("log %d to %d, segments %v", l.StartOffset(), l.EndOffset(), l.Segments())
			}
			if point := l.RecoveryPoint(); tt.point != 0 && point != tt.point {
				t.Errorf("recovery point %d, want %d", point, tt.point)
			}
			checkLoaded(t, l, tt.sequence)
			if bad := files(t, fsys, logDir, segment.DeletedSuffix); len(bad)+len(files(t, fsys, logDir, segment.SwapSuffix))+len(files(t, fsys, logDir, segment.CleanedSuffix)) > 0 {
				t.Errorf("files are left: %v", bad)
			}
			// It goes on, and stops and starts cleanly.
			if a := appendRecords(t, l, 5, 1); a.First != tt.end {
				t.Errorf("append: %+v", a)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, loadOptions(fsys)).Log(orders)
			if l.StartOffset() != tt.start || l.EndOffset() != tt.end+1 || l.RecoveryPoint() != tt.end+1 {
				t.Errorf("next start: %d to %d", l.StartOffset(), l.EndOffset())
			}
		})
	}
}

// checkLoaded checks that offsets, epochs and the producer fit.
func checkLoaded(t *testing.T, l *Log, sequence int32) {
	t.Helper()
	if sequence == 0 {
		sequence = 29
	}
	got := int32(-1)
	if p := l.Producers(); len(p) > 0 {
		got = p[0].LastSequence
	}
	if got != sequence {
		t.Errorf("last sequence %d, want %d", got, sequence)
	}
	for offset := l.StartOffset(); offset < l.EndOffset(); offset++ {
		if e := l.EpochAt(offset); e != int32(offset/10) {
			t.Errorf("epoch at %d: %d", offset, e)
		}
		if found, ok, err := l.LookupTimestamp(testNow + 2*(offset/5*5) + offset%5); err != nil || !ok || found.Offset != offset {
			t.Errorf("timestamp of %d: %+v %v %v", offset, found, ok, err)
		}
	}
}

func TestUnreadableTopicIDFailsALogWithRecords(t *testing.T) {
	fsys := loadFixture(t)
	write(t, fsys, logDir+"/"+checkpoint.PartitionMetadata, []byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"))
	if _, err := Open(loadOptions(fsys)); !errors.Is(err, ErrStorage) {
		t.Errorf("an id of zeros: %v", err)
	}
}

// FuzzLoad starts on directories in which one file was changed anywhere. It may lose the records behind
// the change, and must not crash, loop or serve a batch whose checksum is wrong without saying so.
func FuzzLoad(f *testing.F) {
	fixture := loadFixture(f)
	var names []string
	contents := map[string][]byte{}
	for _, dir := range []string{"data", logDir} {
		entries, err := fixture.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			if !e.Dir {
				file := filepath.Join(dir, e.Name)
				contents[file] = read(f, fixture, file)
			}
		}
	}
	names = slices.Sorted(maps.Keys(contents))
	for i, n := range names {
		f.Add(byte(i), uint16(len(contents[n])/2), []byte{0xff}, true)
		f.Add(byte(i), uint16(0), []byte("0\n1\n1 1\n"), false)
	}
	f.Fuzz(func(t *testing.T, which byte, at uint16, change []byte, clean bool) {
		fsys := vfs.NewMem()
		if err := fsys.MkdirAll(logDir); err != nil {
			t.Fatal(err)
		}
		for i, n := range names {
			data := bytes.Clone(contents[n])
			if i == int(which)%len(names) {
				from := min(int(at), len(data))
				data = append(data[:from:from], append(change, data[min(len(data), from+len(change)):]...)...)
			}
			if !clean && filepath.Base(n) == checkpoint.CleanShutdown {
				continue
			}
			write(t, fsys, n, data)
		}
		m, err := Open(loadOptions(fsys))
		if err != nil {
			return
		}
		defer m.Close()
		l := m.Log(orders)
		if l == nil {
			t.Fatal("the log is gone")
		}
		if err := exercise(l); err != nil {
			t.Fatal(err)
		}
	})
}

// exercise reads all of l in every way. Errors are fine, impossible answers are not.
func exercise(l *Log) error {
	start, end := l.StartOffset(), l.EndOffset()
	if start < 0 || end < start || l.HighWatermark() < start || l.HighWatermark() > end {
		return fmt.Errorf("log %d to %d, high watermark %d", start, end, l.HighWatermark())
	}
	consumeBatches(l)
	l.LookupTimestamp(testNow + 20)
	l.MaxTimestamp()
	l.AbortedTransactions(start, 1000, end)
	l.SetHighWatermark(end)
	l.IncrementStartOffset(start + 1)
	l.deleteOldSegments(testNow)
	l.TruncateTo(end - 3)
	return nil
}

// TestCleanStopIsNotLookedThrough: the old transaction index of a compacted segment, which waits for its removal when the broker
// stops, is no reason to read the segment and write its indexes again.
func TestCleanStopIsNotLookedThrough(t *testing.T) {
	mem := loadFixture(t)
	write(t, mem, name(0, segment.TxnExt)+segment.DeletedSuffix, nil)
	fsys := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if ext := filepath.Ext(op.Path); op.Kind == vfs.OpWrite && (ext == segment.IndexExt || ext == segment.TimeExt) {
			t.Errorf("%s is written", op.Path)
		}
		return nil
	})
	mustOpen(t, loadOptions(fsys))
}
