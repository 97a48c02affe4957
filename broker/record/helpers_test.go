package record

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var allCodecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// unlimited is a policy that takes whatever is well-formed.
func unlimited() Policy {
	return Policy{Partition: "t-0", Compression: Producer, BeforeMax: math.MaxInt64, AfterMax: math.MaxInt64, MaxMessageBytes: math.MaxInt32}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// build returns a batch of records, numbered from opts.BaseOffset.
func build(t testing.TB, magic int8, opts BuilderOptions, records ...Record) []byte {
	t.Helper()
	bu := NewBuilder(magic, opts)
	for _, r := range records {
		if err := bu.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	b, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// some returns n records with values of size bytes, half of which compress well.
func some(n, size int) []Record {
	random := rand.New(rand.NewPCG(1, 2))
	records := make([]Record, n)
	for i := range records {
		value := make([]byte, size)
		for j := range value {
			value[j] = "the quick brown fox jumps over the lazy dog "[j%44]
			if j%2 == 0 && j > size/2 {
				value[j] = byte(random.Uint32())
			}
		}
		records[i] = Record{Offset: int64(i), Timestamp: 1000 + int64(i), Sequence: NoSequence, Key: fmt.Appendf(nil, "key-%d", i), Value: value}
	}
	return records
}

// collect returns copies of the records of all batches, and the first error.
func collect(data []byte) (records []Record, err error) {
	err = Each(data, func(b Batch) error {
		for r, err := range b.Records() {
			if err != nil {
				return err
			}
			records = append(records, r.Clone())
		}
		return nil
	})
	return records, err
}

func mustCollect(t testing.TB, data []byte) []Record {
	t.Helper()
	records, err := collect(data)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// same compares everything but sequence numbers.
func same(a, b Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && sameBytes(a.Key, b.Key) && sameBytes(a.Value, b.Value) &&
		a.Headers.count == b.Headers.count && bytes.Equal(a.Headers.data, b.Headers.data)
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func requireSame(t testing.TB, got, want []Record) {
	t.Helper()
	if !slices.EqualFunc(got, want, same) {
		if len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for i := range got {
			if !same(got[i], want[i]) {
				t.Fatalf("record %d is\n%+v, want\n%+v", i, got[i], want[i])
			}
		}
	}
}

// reseal makes the checksum right after a change of b.
func reseal(b Batch) []byte {
	crc := b.ComputeCRC()
	at := posCRC
	if b.Magic() < MagicV2 {
		at = posLegacyCRC
	}
	b[at], b[at+1], b[at+2], b[at+3] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
	return b
}
