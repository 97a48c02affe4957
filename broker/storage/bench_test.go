package storage

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

func benchLog(b *testing.B) *Log {
	o := testOptions(vfs.OS, b.TempDir())
	c := DefaultLogConfig()
	c.SegmentBytes = 1 << 28
	c.RetentionBytes = 0
	c.FileDeleteDelayMs = 0
	return mustCreate(b, mustOpen(b, o), orders, c)
}

func BenchmarkAppendLeader(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			l := benchLog(b)
			template := batch(b, batchOpts{count: max(1, size>>10-1), size: 980, timestamp: testNow})
			data := bytes.Clone(template)
			o := AppendOptions{Epoch: 1, Now: testNow}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			written := 0
			for b.Loop() {
				record.Batch(data).SetBaseOffset(0)
				a, err := l.AppendLeader(data, o)
				if err != nil {
					b.Fatal(err)
				}
				if written += a.Bytes; written > 1<<29 { // keep the disk from filling up
					b.StopTimer()
					l.SetHighWatermark(l.EndOffset())
					if _, err := l.deleteOldSegments(testNow); err != nil {
						b.Fatal(err)
					}
					written = 0
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkAppendIdempotent(b *testing.B) {
	l := benchLog(b)
	next := int32(0)
	template := batch(b, batchOpts{count: 15, size: 980, timestamp: testNow, producer: &record.ProducerInfo{ID: 7}})
	batches := make([][]byte, 64) // with consecutive sequence numbers
	for i := range batches {
		batches[i] = batch(b, batchOpts{count: 15, size: 980, timestamp: testNow, producer: &record.ProducerInfo{ID: 7, Sequence: next}})
		next += 15
	}
	b.SetBytes(int64(len(template)))
	b.ReportAllocs()
	i, producer := 0, int16(0)
	for b.Loop() {
		if i == len(batches) {
			b.StopTimer()
			producer++
			for k := range batches {
				batches[k] = batch(b, batchOpts{count: 15, size: 980, timestamp: testNow, producer: &record.ProducerInfo{ID: 7, Epoch: producer, Sequence: int32(15 * k)}})
			}
			i = 0
			b.StartTimer()
		}
		record.Batch(batches[i]).SetBaseOffset(0)
		if _, err := l.AppendLeader(batches[i], AppendOptions{Epoch: 1, Now: testNow}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkReadTail(b *testing.B) {
	l := benchLog(b)
	for range 100 {
		appendRecords(b, l, 1, 10)
	}
	l.SetHighWatermark(990)
	b.ReportAllocs()
	for b.Loop() {
		r, err := l.Read(980, 1<<20, l.HighWatermark(), true)
		if err != nil || r.Section == nil {
			b.Fatal(err)
		}
		r.Section.Release()
	}
}

func BenchmarkReadOld(b *testing.B) {
	l := benchLog(b)
	for range 10000 {
		appendRecords(b, l, 1, 10)
	}
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		r, err := l.Read(at, 1<<16, l.EndOffset(), true)
		if err != nil || r.Section == nil {
			b.Fatal(err)
		}
		r.Section.Release()
		at = (at + 7919) % 90000
	}
}

// BenchmarkTenThousandLogs creates, fills, closes and loads ten thousand logs, and recovers them.
func BenchmarkTenThousandLogs(b *testing.B) {
	const logs = 10_000
	for b.Loop() {
		o := testOptions(vfs.OS, b.TempDir())
		o.Now = time.Now
		step := func(what string, f func()) {
			start := time.Now()
			f()
			b.ReportMetric(time.Since(start).Seconds(), what+"-s")
		}
		m := mustOpen(b, o)
		step("create", func() {
			for i := range logs {
				l, err := m.Create(topic.Partition{Topic: "t", Index: int32(i)}, CreateOptions{New: true, TopicID: topic.ID{1}})
				if err == nil {
					err = l.AssignEpoch(0, 0)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		step("show", func() { m.env.unsaved.save() })
		step("append", func() {
			for l := range m.Logs() {
				appendRecords(b, l, 0, 3)
			}
		})
		step("close", func() {
			if err := m.Close(); err != nil {
				b.Fatal(err)
			}
		})
		step("load", func() { m = mustOpen(b, o) })
		for l := range m.Logs() {
			appendRecords(b, l, 0, 3)
		}
		m.cancel()
		m.abandon() // as SIGKILL leaves it
		step("recover", func() { m = mustOpen(b, o) })
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
