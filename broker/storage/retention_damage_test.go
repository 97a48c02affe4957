package storage

import (
	"slices"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestRetentionDoesNotBelieveADamagedTimeIndex has segments at 0, 10 and 20, the records of which are kept for an hour.
func TestRetentionDoesNotBelieveADamagedTimeIndex(t *testing.T) {
	const hour = int64(3600_000)
	options := func(fsys vfs.FS) Options {
		o := loadOptions(fsys)
		o.TopicConfig = func(string) LogConfig {
			c := loadConfig()
			c.RetentionMs = hour
			return c
		}
		return o
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, fsys vfs.FS, file string)
	}{
		{"the last timestamp is smaller by a bit", func(t *testing.T, fsys vfs.FS, file string) {
			data := read(t, fsys, file)
			data[len(data)-segment.TimeEntrySize+2] ^= 1 // 2^40 ms
			write(t, fsys, file, data)
		}},
		{"the last timestamp is greater by a bit", func(t *testing.T, fsys vfs.FS, file string) {
			data := read(t, fsys, file)
			data[len(data)-segment.TimeEntrySize+1] ^= 1 // 2^48 ms
			write(t, fsys, file, data)
		}},
		{"the last timestamp is negative", func(t *testing.T, fsys vfs.FS, file string) {
			data := read(t, fsys, file)
			data[len(data)-segment.TimeEntrySize] ^= 0x80
			write(t, fsys, file, data)
		}},
		{"the entries are cut off", func(t *testing.T, fsys vfs.FS, file string) {
			write(t, fsys, file, nil)
			log := name(0, segment.LogExt) // whose age counts then, in Kafka
			if err := fsys.SetModTime(log, time.UnixMilli(testNow-24*hour)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := loadFixture(t)
			tt.damage(t, fsys, name(0, segment.TimeExt))
			l := mustOpen(t, options(fsys)).Log(orders)
			// The newest records of the segments are of testNow + 14, 34 and 54.
			for _, check := range []struct {
				now  int64
				want []int64
			}{
				{testNow, []int64{0, 10, 20}},
				{testNow + 14 + hour, []int64{0, 10, 20}},
				{testNow + 15 + hour, []int64{10, 20}},
			} {
				if _, err := l.deleteOldSegments(check.now); err != nil {
					t.Fatal(err)
				}
				if got := l.Segments(); !slices.Equal(got, check.want) {
					t.Errorf("at %d segments %v are left, not %v", check.now-testNow, got, check.want)
				}
			}
		})
	}
}

// TestRetentionOfAnUnreadableLog goes by the index where the batches cannot be read: the disk must not fill, nor the
// directory fail, because of a segment that nobody can read.
func TestRetentionOfAnUnreadableLog(t *testing.T) {
	fsys := loadFixture(t)
	log := name(0, segment.LogExt)
	data := read(t, fsys, log)
	clear(data)
	write(t, fsys, log, data)
	o := loadOptions(fsys)
	o.TopicConfig = func(string) LogConfig {
		c := loadConfig()
		c.RetentionMs = 1000
		return c
	}
	l := mustOpen(t, o).Log(orders)
	if _, err := l.deleteOldSegments(testNow + 1015); err != nil {
		t.Fatal(err)
	}
	if got := l.Segments(); !slices.Equal(got, []int64{10, 20}) {
		t.Errorf("segments %v are left", got)
	}
}

// Appends go on while the age of an old segment is proven, by as many reads as it has batches.
func TestAgesAreProvenBesideAppends(t *testing.T) {
	mem := loadFixture(t)
	write(t, mem, name(0, segment.TimeExt), nil)
	o := loadOptions(mem)
	o.TopicConfig = func(string) LogConfig {
		c := loadConfig()
		c.RetentionMs = 1000
		return c
	}
	var l *Log
	reads := 0
	fsys := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if op.Kind != vfs.OpRead || l == nil || op.Path != name(0, segment.LogExt) {
			return nil
		}
		reads++
		if !l.mu.TryLock() {
			t.Error("the log is locked")
			return nil
		}
		l.mu.Unlock()
		return nil
	}).AskReads()
	o.FS = fsys
	l = mustOpen(t, o).Log(orders)
	if _, err := l.deleteOldSegments(testNow + 1e9); err != nil {
		t.Fatal(err)
	}
	if reads == 0 || l.StartOffset() != l.EndOffset() {
		t.Errorf("%d reads, the log is left with %d to %d", reads, l.StartOffset(), l.EndOffset())
	}
}
