package produce

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"

	brokerrecord "github.com/gregor-mq/gregor/broker/record"
)

func testRecords() []record {
	return []record{
		{value: []byte("first"), timestamp: 1000},
		{key: []byte("k"), value: []byte(strings.Repeat("v", 300)), timestamp: 1005},
		{key: []byte{}, value: nil, timestamp: 900},
		{value: []byte{}, headers: []header{{[]byte("h"), []byte("1")}, {[]byte("null"), nil}, {[]byte(""), []byte{}}}, timestamp: 1000},
	}
}

func newTestBatch(records []record) *batch {
	b := &batch{}
	for i := range records {
		b.append(&records[i])
	}
	return b
}

// TestEncode checks batches against the broker's own reader.
func TestEncode(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
		"zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			compressor, err := kgo.DefaultCompressor(codec)
			if err != nil {
				t.Fatal(err)
			}
			if name == "none" {
				compressor = nil
			}
			var scratch bytes.Buffer
			encoded := newTestBatch(testRecords()).encode([]byte("before"), compressor, &scratch, identity{7, 3, 11})
			b, rest, err := brokerrecord.Next(encoded[len("before"):])
			if err != nil || len(rest) != 0 {
				t.Fatalf("Next: %v, %d bytes left", err, len(rest))
			}
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			if b.ProducerID() != 7 || b.ProducerEpoch() != 3 || b.BaseSequence() != 11 || b.Count() != 4 || b.MaxTimestamp() != 1005 {
				t.Errorf("header: %d %d %d %d %d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.Count(), b.MaxTimestamp())
			}
			var got []record
			for r, err := range b.Records() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, record{key: bytes.Clone(r.Key), value: bytes.Clone(r.Value), timestamp: r.Timestamp})
			}
			ignoreHeaders := cmpopts.IgnoreFields(record{}, "headers")
			if diff := cmp.Diff(testRecords(), got, cmp.AllowUnexported(record{}), ignoreHeaders); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEachAndSplit(t *testing.T) {
	collect := func(batches ...*batch) []record {
		var all []record
		for _, b := range batches {
			b.each(func(_ int, r record) { all = append(all, r) })
		}
		return all
	}
	all := cmp.AllowUnexported(record{}, header{})
	whole := newTestBatch(testRecords())
	if diff := cmp.Diff(testRecords(), collect(whole), all); diff != "" {
		t.Error(diff)
	}
	first, second := whole.split()
	if first.count != 2 || second.count != 2 {
		t.Errorf("split into %d and %d", first.count, second.count)
	}
	if diff := cmp.Diff(testRecords(), collect(first, second), all); diff != "" {
		t.Error(diff)
	}
}

func TestVarintSize(t *testing.T) {
	for _, v := range []int64{0, -1, 1, 63, 64, -64, -65, 8191, 8192, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		if got, want := varintSize(v), len(binary.AppendVarint(nil, v)); got != want {
			t.Errorf("%d takes %d bytes, not %d", v, want, got)
		}
	}
}

// TestUpperBound checks the sizes that Kafka's producer gives in its messages.
func TestUpperBound(t *testing.T) {
	r := record{value: make([]byte, 51)}
	if got := r.upperBound(); got != 136 {
		t.Errorf("a value of 51 bytes takes at most %d, want 136", got)
	}
	for _, r := range testRecords() {
		b := &batch{}
		b.append(&r)
		if size := batchHeaderSize + len(b.records); size > r.upperBound() {
			t.Errorf("a record takes %d bytes, more than its bound of %d", size, r.upperBound())
		}
	}
}

// TestMurmur2 checks the values that every client of Kafka agrees on.
func TestMurmur2(t *testing.T) {
	for text, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(text))); got != want {
			t.Errorf("%q hashes to %d, want %d", text, got, want)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	r := record{value: make([]byte, 100), timestamp: 1}
	target := &batch{records: make([]byte, 0, 1<<20)}
	b.SetBytes(100)
	b.ReportAllocs()
	for b.Loop() {
		if len(target.records) > 1<<20-200 {
			target.records, target.count = target.records[:0], 0
		}
		target.append(&r)
	}
}
