package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// compactConfig has small segments, and whatever is dirty is to be cleaned.
func compactConfig() LogConfig {
	c := DefaultLogConfig()
	c.Compact, c.Delete = true, false
	c.SegmentBytes = 400
	c.IndexIntervalBytes = 100
	c.MinCleanableRatio = 0.01
	return c
}

// clock is a wall clock that tests turn, in ms.
type clock struct{ now int64 }

func (c *clock) time() time.Time { return time.UnixMilli(c.now) }

// openCleaner opens a Manager whose cleaner works only when cleanOnce is called.
func openCleaner(t testing.TB, fsys vfs.FS, dirs ...string) *Manager {
	t.Helper()
	return openIdle(t, cleanerOptions(fsys, dirs...))
}

func cleanerOptions(fsys vfs.FS, dirs ...string) Options {
	o := testOptions(fsys, dirs...)
	o.Cleaner = &CleanerConfig{}
	o.TopicConfig = func(string) LogConfig { return compactConfig() }
	return o
}

// cleanOnce does what a thread of the cleaner does before it pauses, and reports whether it has cleaned a log.
func cleanOnce(m *Manager) bool {
	c := m.env.cleaner
	return c.once(context.Background(), 0, &c.config)
}

// cleanAll cleans until nothing is dirty.
func cleanAll(m *Manager) {
	for cleanOnce(m) {
	}
}

// keyed returns a batch of records "key=value"; "key" alone is a tombstone.
func keyed(t testing.TB, o batchOpts, records ...string) []byte {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{
		BaseOffset: o.base, LeaderEpoch: o.epoch, Producer: o.producer, Transactional: o.txn,
	})
	for i, text := range records {
		key, value, ok := strings.Cut(text, "=")
		r := record.Record{Timestamp: o.timestamp + int64(i), Key: []byte(key)}
		if ok {
			r.Value = []byte(value)
		}
		if err := b.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// put appends one batch of records, all of which are replicated at once.
func put(t testing.TB, l *Log, records ...string) {
	t.Helper()
	putAt(t, l, testNow, records...)
}

func putAt(t testing.TB, l *Log, timestamp int64, records ...string) {
	t.Helper()
	if _, err := l.AppendLeader(keyed(t, batchOpts{timestamp: timestamp}, records...), AppendOptions{Now: testNow}); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(l.EndOffset())
}

// versions appends n versions of each of some keys, one record to a batch.
func versions(t testing.TB, l *Log, n int, keys ...string) {
	t.Helper()
	for i := range n {
		for _, key := range keys {
			put(t, l, fmt.Sprintf("%s=%d", key, i))
		}
	}
}

// contents returns what a consumer gets from the log, as "offset:key=value".
func contents(t testing.TB, l *Log) []string {
	t.Helper()
	var all []string
	for _, b := range readAll(t, l, l.StartOffset(), l.EndOffset()) {
		for r, err := range b.Records() {
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%d:%s", r.Offset, r.Key)
			if r.Value != nil {
				text += "=" + string(r.Value)
			}
			all = append(all, text)
		}
	}
	return all
}

// noLeftovers requires that no file of l has a name that only a swap under way gives.
func noLeftovers(t testing.TB, fsys vfs.FS, l *Log) {
	t.Helper()
	for _, suffix := range []string{segment.CleanedSuffix, segment.SwapSuffix} {
		if names := files(t, fsys, l.Path(), suffix); len(names) > 0 {
			t.Errorf("left over: %v", names)
		}
	}
}

// checkpointed returns what the cleaner-offset-checkpoint of a directory says, as "topic-partition:offset".
func checkpointed(t testing.TB, fsys vfs.FS, dir string) []string {
	t.Helper()
	data, err := vfs.ReadFile(fsys, dir+"/cleaner-offset-checkpoint")
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	var all []string
	for _, line := range lines[min(2, len(lines)):] {
		f := strings.Fields(line)
		all = append(all, f[0]+"-"+f[1]+":"+f[2])
	}
	slices.Sort(all)
	return all
}
