package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// pack returns a v2 batch with these bytes as its records.
func pack(codec Codec, count int32, records []byte) Batch {
	b := make(Batch, HeaderSize, HeaderSize+len(records))
	b = append(b, records...)
	putHeader(b, byte(codec), count-1, 0, 0, ProducerInfo{NoProducerID, NoProducerEpoch, NoSequence}, count)
	return b
}

// encode returns records as they stand in a batch, uncompressed.
func encode(records ...Record) []byte {
	var out []byte
	for i, r := range records {
		out = appendRecord(out, &r, int32(i), 0)
	}
	return out
}

// checkBoth requires that b is taken and read, or neither.
func checkBoth(t *testing.T, name string, b Batch, want error) {
	t.Helper()
	p := unlimited()
	_, err := p.Validate(bytes.Clone(b), Client, testNow)
	if !errors.Is(err, want) {
		t.Errorf("%s: Validate: %v, want %v", name, err, want)
	}
	if _, err := collect(b); !errors.Is(err, want) {
		t.Errorf("%s: Records: %v, want %v", name, err, want)
	}
}

func lz4Frame(t *testing.T, data []byte, options ...lz4.Option) []byte {
	t.Helper()
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestLZ4Frames has what other clients write, and what nobody should.
func TestLZ4Frames(t *testing.T) {
	records := encode(some(300, 1000)...)
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		for _, sums := range []bool{false, true} {
			frame := lz4Frame(t, records, lz4.BlockSizeOption(size), lz4.ChecksumOption(sums), lz4.BlockChecksumOption(sums), lz4.SizeOption(uint64(len(records))))
			checkBoth(t, fmt.Sprint(size, sums), pack(LZ4, 300, frame), nil)
			if sums {
				frame[len(frame)-1]++ // of the content's checksum
				checkBoth(t, "content checksum", pack(LZ4, 300, frame), ErrDecompress)
			}
		}
	}
	good := lz4Frame(t, records, lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false))
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		b[6] = byte(xxHash32Of(b[4:6]) >> 8)
		return b
	}
	tests := map[string][]byte{
		"magic":           change(0, 5),
		"version 2":       change(4, 0xa0),
		"linked blocks":   change(4, 0x40),
		"reserved bit":    change(4, 0x61),
		"block size 3":    change(5, 0x30),
		"reserved BD":     change(5, 0x41),
		"no end mark":     good[:len(good)-4],
		"half a block":    good[:len(good)/2],
		"only a header":   good[:7],
		"nothing":         {},
		"trailing":        append(bytes.Clone(good), 0),
		"another frame":   append(bytes.Clone(good), good...),
		"large block":     append(bytes.Clone(good[:7]), 1, 0, 1, 0),
		"header checksum": func() []byte { b := bytes.Clone(good); b[6]++; return b }(),
		"size is wrong": func() []byte {
			b := lz4Frame(t, records, lz4.SizeOption(uint64(len(records))))
			b[6]++
			b[14] = byte(xxHash32Of(b[4:14]) >> 8)
			return b
		}(),
	}
	for name, frame := range tests {
		checkBoth(t, name, pack(LZ4, 300, frame), ErrDecompress)
	}
}

func TestSnappyStreams(t *testing.T) {
	records := encode(some(300, 1000)...)
	raw := s2.EncodeSnappy(nil, records)
	xerial := func(blocks ...[]byte) []byte {
		out := bytes.Clone(xerialHeader)
		for _, b := range blocks {
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...)
		}
		return out
	}
	half := len(records) / 2
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"without frame, as librdkafka", raw, nil},
		{"large block", xerial(raw), nil},
		{"two blocks", xerial(s2.EncodeSnappy(nil, records[:half]), s2.EncodeSnappy(nil, records[half:])), nil},
		{"empty block between", xerial(s2.EncodeSnappy(nil, records[:half]), s2.EncodeSnappy(nil, nil), s2.EncodeSnappy(nil, records[half:])), nil},
		{"cut", xerial(raw)[:5000], ErrDecompress},
		{"cut after a length", xerial(nil)[:18], ErrDecompress},
		{"no block", xerial(), ErrInvalidRecord},
		{"nothing", nil, ErrDecompress},
		{"absurd length", append(binary.AppendUvarint(nil, 1<<30), raw...), ErrDecompress},
		{"version 0", append(append(bytes.Clone(xerialHeader[:8]), 0, 0, 0, 0, 0, 0, 0, 1), xerial(raw)[16:]...), ErrDecompress},
		// What the S2 format adds to Snappy: a copy from offset 0 repeats the last one.
		{"repeat of S2", []byte{20, 3 << 2, 1, 2, 3, 4, 1<<2 | 1, 4, 1<<2 | 1, 0, 0, 0, 0, 0}, ErrDecompress},
	}
	for _, tt := range tests {
		checkBoth(t, tt.name, pack(Snappy, 300, tt.data), tt.want)
	}
}

func TestGzipStreams(t *testing.T) {
	records := encode(some(300, 1000)...)
	pipe := func(data []byte, level int, name string) []byte {
		var out bytes.Buffer
		w, _ := gzip.NewWriterLevel(&out, level)
		w.Name, w.Comment, w.Extra = name, name, []byte(name)
		_, _ = w.Write(data)
		_ = w.Close()
		return out.Bytes()
	}
	good := pipe(records, 6, "")
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[(at+len(b))%len(b)] += v
		return b
	}
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"stored", pipe(records, gzip.NoCompression, ""), nil},
		{"huffman only", pipe(records, gzip.HuffmanOnly, ""), nil},
		{"best", pipe(records, 9, ""), nil},
		{"named", pipe(records, 6, "name"), nil},
		{"two members", append(pipe(records[:1000], 6, ""), pipe(records[1000:], 6, "")...), nil},
		{"checksum", change(-8, 1), ErrDecompress},
		{"length", change(-1, 1), ErrDecompress},
		{"magic", change(0, 1), ErrDecompress},
		{"method", change(2, 1), ErrDecompress},
		{"cut", good[:len(good)/2], ErrDecompress},
		{"without trailer", good[:len(good)-8], ErrDecompress},
		{"header only", good[:10], ErrDecompress},
		{"half a header", good[:5], ErrDecompress},
		{"nothing", nil, ErrDecompress},
		{"trailing", append(bytes.Clone(good), 0), ErrDecompress},
	}
	for _, tt := range tests {
		checkBoth(t, tt.name, pack(Gzip, 300, tt.data), tt.want)
	}
}

func TestZstdFrames(t *testing.T) {
	for _, n := range []int{300, 3000} { // read at once, and as a stream
		records := encode(some(n, 1000)...)
		pipe := func(data []byte, options ...zstd.EOption) []byte {
			w, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...)
			if err != nil {
				t.Fatal(err)
			}
			return w.EncodeAll(data, nil)
		}
		stream := func(options ...zstd.EOption) []byte {
			var out bytes.Buffer
			w, err := zstd.NewWriter(&out, append(options, zstd.WithEncoderConcurrency(1))...)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(w, bytes.NewReader(records))
			_ = w.Close()
			return out.Bytes()
		}
		good := pipe(records)
		bad := bytes.Clone(good)
		bad[len(bad)-1]++ // of the checksum
		skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, good...)
		tests := []struct {
			name string
			data []byte
			want error
		}{
			{"size known", good, nil},
			{"size unknown", stream(), nil},
			{"window 16 MiB", stream(zstd.WithWindowSize(16 << 20)), nil},
			{"window 128 MiB", stream(zstd.WithWindowSize(128 << 20)), nil},
			{"window 512 MiB", stream(zstd.WithWindowSize(512 << 20)), ErrDecompress},
			{"two frames", append(pipe(records[:5000]), pipe(records[5000:])...), nil},
			{"skippable frame", skippable, nil},
			{"checksum", bad, ErrDecompress},
			{"cut", good[:len(good)/2], ErrDecompress},
			{"trailing", append(bytes.Clone(good), 0), ErrDecompress},
			{"nothing", nil, ErrDecompress},
			{"magic", append([]byte{1}, good[1:]...), ErrDecompress},
		}
		for _, tt := range tests {
			checkBoth(t, fmt.Sprint(n, " ", tt.name), pack(Zstd, int32(n), tt.data), tt.want)
		}
		if len(heavyPermits) != 0 {
			t.Errorf("%d permits were not given back", len(heavyPermits))
		}
	}
}

// TestLargeRecords has records beyond the window, which Validate skips and Records holds whole.
func TestLargeRecords(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	value := make([]byte, 3<<20)
	for i := range value {
		value[i] = byte(random.Uint32N(7))
	}
	large := strings.Repeat("h", 200<<10)
	records := []Record{
		{Value: value[:200<<10]}, {Key: value[:150<<10], Headers: MakeHeaders(Header{large, []byte(large)}, Header{"x", nil})},
		{Key: []byte("k")}, {Value: value}, {}, {Value: value[:windowBytes]}, {Value: value[:windowBytes-9]}, {Key: value[:minRead]},
	}
	for i := range records {
		records[i].Offset = int64(i)
	}
	for _, codec := range allCodecs {
		data := build(t, 2, BuilderOptions{Codec: codec}, records...)
		p := unlimited()
		if _, err := p.Validate(data, Client, testNow); err != nil {
			t.Errorf("%v: %v", codec, err)
		}
		requireSame(t, mustCollect(t, data), records)
		p.Compacted = true
		_, err := p.Validate(data, Client, testNow)
		if e, _ := errors.AsType[*Error](err); e == nil || len(e.Records) != 5 {
			t.Errorf("%v: error %v", codec, err)
		}
	}
}

// TestLargeRecordsBroken breaks records that are skipped without being held whole.
func TestLargeRecordsBroken(t *testing.T) {
	r := Record{Key: make([]byte, 200<<10), Value: make([]byte, 200<<10), Headers: MakeHeaders(Header{"h", make([]byte, 300<<10)})}
	good := encode(r, r)
	tests := map[string][]byte{
		"cut":            good[:len(good)-1],
		"more":           append(bytes.Clone(good), 0),
		"length":         append(appendVarint(nil, MaxRecordBytes+1), good...),
		"negative":       append(appendVarint(nil, -5), good...),
		"key length":     bytes.Replace(good, appendVarint(nil, 200<<10), appendVarint(nil, 201<<10), 1),
		"value length":   bytes.Replace(good, append([]byte{0}, appendVarint(nil, 200<<10)...), append([]byte{0}, appendVarint(nil, 1<<24)...), 2),
		"header count":   bytes.Replace(good, append(appendVarint(nil, 1), appendVarint(nil, 1)...), append(appendVarint(nil, -1), appendVarint(nil, 1)...), 1),
		"header count 2": bytes.Replace(good, append(appendVarint(nil, 1), appendVarint(nil, 1)...), append(appendVarint(nil, 3), appendVarint(nil, 1)...), 1),
		"header key":     bytes.Replace(good, append(appendVarint(nil, 1), 'h'), append(appendVarint(nil, -1), 'h'), 1),
	}
	for name, records := range tests {
		for _, codec := range []Codec{Gzip, Zstd, LZ4, Snappy} {
			c, err := newCompressor(compressorKey{codec, normalLevel(codec, 0)})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			_ = c.reset(&out, 2)
			_, _ = c.Write(records)
			_ = c.Close()
			checkBoth(t, name, pack(codec, 2, out.Bytes()), ErrInvalidRecord)
		}
	}
}

// TestBombs protects memory: a hundred megabytes that compress to nearly nothing are taken or refused within
// a few megabytes.
func TestBombs(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("decompresses a lot")
	}
	zeros := make([]byte, 1<<20)
	bomb := func(codec Codec, records int) Batch {
		c, err := newCompressor(compressorKey{codec, normalLevel(codec, 0)})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		_ = c.reset(&out, 2)
		for i := range records {
			_, _ = c.Write(appendRecord(nil, &Record{Value: zeros}, int32(i), 0))
		}
		_ = c.Close()
		return pack(codec, int32(records), out.Bytes())
	}
	for _, codec := range []Codec{Gzip, Snappy, LZ4, Zstd} {
		b := bomb(codec, 100)
		p := unlimited()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if _, err := p.Validate(b, Client, testNow); err != nil {
			t.Errorf("%v: %v", codec, err)
		}
		n := 0
		for r, err := range b.Records() {
			if err != nil || len(r.Value) != len(zeros) {
				t.Fatal(codec, err)
			}
			n++
		}
		p.Compression, p.MaxMessageBytes = None, 10<<20 // a rebuild stops where it grows too large
		if len(b) < p.MaxMessageBytes {
			if _, err := p.Validate(b, Client, testNow); !errors.Is(err, ErrMessageTooLarge) {
				t.Errorf("%v: %v", codec, err)
			}
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%v: %d MiB were allocated for %d KiB", codec, grown>>20, len(b)>>10)
		}
	}
}

func TestXXHash32(t *testing.T) {
	// Sums of the reference implementation, seed 0.
	for text, want := range map[string]uint32{"": 0x02CC5D05, "a": 0x550D7456, "abc": 0x32D153FF,
		"Nobody inspects the spammish repetition": 0xE2293B2F} {
		if got := xxHash32Of([]byte(text)); got != want {
			t.Errorf("xxHash32(%q) = %08x, want %08x", text, got, want)
		}
		for i := range text { // in two pieces
			var h xxHash32
			h.reset()
			h.write([]byte(text[:i]))
			h.write([]byte(text[i:]))
			if got := h.sum(); got != want {
				t.Errorf("xxHash32(%q) in pieces = %08x, want %08x", text, got, want)
			}
		}
	}
}

func TestShiftCRC(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{0, 1, 2, 3, 15, 16, 255, 4096, 65537, 1 << 20} {
		a := make([]byte, 40+n)
		for i := range a {
			a[i] = byte(random.Uint32())
		}
		b := bytes.Clone(a)
		for i := range 40 {
			b[i] = byte(random.Uint32())
		}
		sum := func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
		if got, want := sum(a)^shiftCRC(sum(a[:40])^sum(b[:40]), n), sum(b); got != want {
			t.Errorf("%d bytes: %08x, want %08x", n, got, want)
		}
	}
}
