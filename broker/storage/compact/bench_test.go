package compact

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/broker/record"
)

// benchLog is a log of n records of about 100 bytes with keys of 12 bytes out of so many, in batches of about
// 16 KiB.
func benchLog(b *testing.B, codec record.Codec, n, keys int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var log []byte
	value := make([]byte, 80)
	for offset := int64(0); offset < int64(n); {
		bu := record.NewBuilder(record.MagicV2, record.BuilderOptions{Codec: codec, BaseOffset: offset})
		for range min(160, int64(n)-offset) {
			key := [12]byte{'k', 'e', 'y', '-'}
			binary.BigEndian.PutUint64(key[4:], uint64(rng.IntN(keys)))
			for i := range 20 { // half of it compresses
				value[rng.IntN(40)+40*(i%2)/2] = byte(rng.Uint32())
			}
			if err := bu.AppendAt(record.Record{Offset: offset, Timestamp: offset, Key: key[:], Value: value}); err != nil {
				b.Fatal(err)
			}
			offset++
		}
		var err error
		if log, err = bu.Build(log); err != nil {
			b.Fatal(err)
		}
	}
	return log
}

const benchRecords = 400_000

// perRecord reports what fn takes for each record: of time, and of the processor, which other processes cannot
// make longer.
func perRecord(b *testing.B, fn func()) {
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		fn()
	}
	per := float64(b.N) * benchRecords
	b.ReportMetric(float64(cpu()-before)/per, "cpu-ns/record")
	b.ReportMetric(float64(b.Elapsed())/per, "ns/record")
	b.ReportMetric(0, "ns/op")
}

// chunked calls f with chunks of 256 KiB, as a cleaner reads a segment, until all of log is taken.
func chunked(log []byte, f func([]byte) int) {
	for len(log) > 0 {
		log = log[f(log[:min(len(log), 256<<10)]):]
	}
}

func BenchmarkIndex(b *testing.B) {
	for _, codec := range []record.Codec{record.None, record.LZ4, record.Zstd} {
		for _, keys := range []int{1000, benchRecords / 2} {
			b.Run(fmt.Sprintf("%v/keys=%d", codec, keys), func(b *testing.B) {
				log := benchLog(b, codec, benchRecords, keys)
				m := NewOffsetMap(16<<20, 0.9)
				var stats Stats
				perRecord(b, func() {
					x := NewIndex(m, 0, nil, &stats)
					chunked(log, func(data []byte) int {
						n, _, err := x.Add(data)
						if err != nil {
							b.Fatal(err)
						}
						return n
					})
				})
			})
		}
	}
}

// BenchmarkFilter cleans logs of which nothing, half or nearly all is dead.
func BenchmarkFilter(b *testing.B) {
	for _, codec := range []record.Codec{record.None, record.LZ4, record.Zstd} {
		for _, dead := range []string{"none", "half", "most"} {
			b.Run(fmt.Sprintf("%v/dead=%s", codec, dead), func(b *testing.B) {
				keys := map[string]int{"none": 1 << 60, "half": benchRecords * 63 / 100, "most": 1000}[dead]
				log := benchLog(b, codec, benchRecords, keys)
				m := NewOffsetMap(16<<20, 0.9)
				if _, _, err := NewIndex(m, 0, nil, new(Stats)).Add(log); err != nil {
					b.Fatal(err)
				}
				var stats Stats
				perRecord(b, func() {
					f := NewFilter(FilterOptions{Map: m, NowMs: 1, DeleteRetentionMs: 1}, &stats)
					chunked(log, func(data []byte) int {
						kept, err := f.Filter(data)
						if err != nil {
							b.Fatal(err)
						}
						return kept.Read
					})
				})
				b.ReportMetric(100*float64(stats.KeptRecords)/float64(stats.Records), "%kept")
			})
		}
	}
}
