package record

import (
	"bytes"
	"errors"
	"testing"
)

func addVectors(f *testing.F) {
	for _, v := range []string{vectors.v2, vectors.transactional, vectors.lz4, vectors.snappy, vectors.v1, vectors.v0,
		vectors.v1LZ4, vectors.v0LZ4, vectors.marker, vectors.empty} {
		f.Add(unhex(f, v))
	}
	for _, codec := range allCodecs {
		f.Add(build(f, 2, BuilderOptions{Codec: codec}, some(5, 40)...))
		if codec != Zstd {
			f.Add(build(f, 1, BuilderOptions{Codec: codec}, some(5, 40)...))
			f.Add(build(f, 0, BuilderOptions{Codec: codec}, some(5, 40)...))
		}
	}
}

// resealAll makes all checksums right, so that the fuzzer gets past them.
func resealAll(data []byte) []byte {
	data = bytes.Clone(data)
	_ = Each(data, func(b Batch) error {
		reseal(b)
		return nil
	})
	return data
}

func FuzzNext(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, rest, err := Next(data)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); err != ErrShort && (!ok || e.Err == nil) {
				t.Errorf("error %v", err)
			}
			return
		}
		if !bytes.Equal(append(bytes.Clone(b), rest...), data) {
			t.Errorf("%x was split into %x and %x", data, []byte(b), rest)
		}
		_, _, _, _ = b.LastOffset(), b.NextOffset(), b.LeaderEpoch(), b.CRC()
		_, _, _, _ = b.Codec(), b.TimestampType(), b.MaxTimestamp(), b.BaseTimestamp()
		_, _, _, _ = b.ProducerID(), b.ProducerEpoch(), b.LastSequence(), b.Count()
		_, _ = b.IsTransactional(), b.Check()
		_, _ = b.DeleteHorizon()
		_, _, _ = b.Marker()
		_, _ = b.FirstOffset()
	})
}

// FuzzValidate checks that whatever is taken can be read, and looks as Validated says.
func FuzzValidate(f *testing.F) {
	f.Add(unhex(f, vectors.v2), int8(Producer), uint8(0))
	for _, codec := range allCodecs {
		f.Add(build(f, 2, BuilderOptions{Codec: codec}, some(5, 40)...), int8(codec), uint8(1))
		if codec != Zstd {
			f.Add(build(f, 1, BuilderOptions{Codec: codec}, some(5, 40)...), int8(Producer), uint8(2))
			f.Add(build(f, 0, BuilderOptions{Codec: codec}, some(5, 40)...), int8(Gzip), uint8(4))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, compression int8, flags uint8) {
		p := unlimited()
		if c := Codec(compression); c.Valid() {
			p.Compression = c
		}
		p.TimestampType = TimestampType(flags & 1)
		p.Compacted = flags&2 != 0
		if flags&8 != 0 {
			p.BeforeMax, p.AfterMax = 100, 100
		}
		v, err := p.Validate(resealAll(data), Origin(flags>>2&1), testNow)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Err == nil {
				t.Errorf("error %v", err)
			}
			return
		}
		if v.Batches == 0 {
			return
		}
		v.Assign(1000, 7)
		b, rest, err := Next(v.Records)
		if err != nil || len(rest) > 0 || b.Check() != nil || b.BaseOffset() != 1000 || b.LeaderEpoch() != 7 {
			t.Fatalf("%x became %x", data, v.Records)
		}
		records, err := collect(v.Records)
		if err != nil {
			t.Fatalf("%x is taken as %x, but cannot be read: %v", data, v.Records, err)
		}
		if int64(len(records)) != v.Count || v.LastOffset != 999+v.Count || b.LastOffset() != v.LastOffset {
			t.Errorf("%d records, last offset %d; %+v", len(records), b.LastOffset(), v)
		}
		maxTime := NoTimestamp
		for _, r := range records {
			maxTime = max(maxTime, r.Timestamp)
		}
		if p.TimestampType == LogAppendTime && v.MaxTimestamp != testNow || b.MaxTimestamp() != v.MaxTimestamp {
			t.Errorf("max timestamp %d, in the header %d, of records %d", v.MaxTimestamp, b.MaxTimestamp(), maxTime)
		}
	})
}

// FuzzRecords reads, converts and replicates anything.
func FuzzRecords(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		data = resealAll(data)
		for _, magic := range []int8{0, 1, 2} {
			out, err := convertAll(nil, data, Conversion{Magic: magic}, 1<<20)
			if err != nil {
				continue
			}
			if err := Each(out, func(b Batch) error { return nil }); err != nil {
				t.Errorf("converted to %x: %v", out, err)
			}
		}
		if v, err := CheckReplicated(data); err == nil && v.Batches > 0 && (v.LastOffset < v.FirstOffset || !bytes.HasPrefix(data, v.Records)) {
			t.Errorf("%+v", v)
		}
		records, err := collect(data)
		if err != nil {
			return
		}
		for _, r := range records {
			n := 0
			for range r.Headers.All() {
				n++
			}
			if n != r.Headers.Len() {
				t.Errorf("%d headers of %d", n, r.Headers.Len())
			}
		}
	})
}

func FuzzDecompressGzip(f *testing.F)   { fuzzDecompress(f, Gzip) }
func FuzzDecompressSnappy(f *testing.F) { fuzzDecompress(f, Snappy) }
func FuzzDecompressLZ4(f *testing.F)    { fuzzDecompress(f, LZ4) }
func FuzzDecompressZstd(f *testing.F)   { fuzzDecompress(f, Zstd) }

// fuzzDecompress reads data as records that are compressed, whatever they say, by skipping and by
// holding them.
func fuzzDecompress(f *testing.F, codec Codec) {
	for _, n := range []int{0, 1, 20} {
		f.Add(Batch(build(f, 2, BuilderOptions{Codec: codec}, some(n+1, 50*n)...)).records(), uint16(n+1))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint16) {
		b := pack(codec, int32(count), data)
		p := unlimited()
		_, validateErr := p.Validate(bytes.Clone(b), Client, testNow)
		n := 0
		var readErr error
		for r, err := range b.Records() {
			if readErr = err; err == nil {
				n++
			}
			_ = r
		}
		if count > 0 && (validateErr == nil) != (readErr == nil) {
			t.Errorf("Validate: %v, Records: %v", validateErr, readErr)
		}
		if readErr == nil && n != int(count) {
			t.Errorf("%d records of %d", n, count)
		}
	})
}
