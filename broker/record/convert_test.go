package record

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// convertAll converts one batch after the other, in pieces of at most room bytes.
func convertAll(dst, records []byte, c Conversion, room int) ([]byte, error) {
	err := Each(records, func(b Batch) error {
		for next := c.From; next != AllConverted; {
			c.From = next
			out, n, err := c.Append(dst, b, room)
			if err != nil {
				return err
			}
			dst, next = out, n
		}
		return nil
	})
	return dst, err
}

// TestConvertInPieces protects that a batch converted piece by piece is the same as converted at once, that sizes are
// known before, and that nothing takes more room than there is.
func TestConvertInPieces(t *testing.T) {
	for _, codec := range []Codec{None, Gzip, Snappy, LZ4} {
		for _, magic := range []int8{0, 1} {
			b := Batch(build(t, 2, BuilderOptions{Codec: codec, BaseOffset: 100}, some(50, 300)...))
			c := Conversion{Magic: magic, From: 107}
			whole, err := convertAll(nil, b, c, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if size, err := c.Size(b); size != len(whole) || err != nil {
				t.Errorf("%v, v%d: size %d, error %v; it is %d", codec, magic, size, err, len(whole))
			}
			if bound := c.Bound(b); codec == None && bound < len(whole) {
				t.Errorf("v%d: %d bytes, which exceeds the bound %d", magic, len(whole), bound)
			}
			if out, _, err := c.Append([]byte("before"), b, len(whole)); err != nil || string(out) != "before"+string(whole) {
				t.Errorf("%v, v%d: %d bytes, error %v, with room for just %d", codec, magic, len(out), err, len(whole))
			}
			room := 1000
			if codec != None {
				room = len(whole) - 1
			}
			pieces, err := convertAll(nil, b, c, room)
			if codec == None {
				if err != nil || !bytes.Equal(pieces, whole) {
					t.Errorf("v%d: %d bytes in pieces, error %v; %d at once", magic, len(pieces), err, len(whole))
				}
				room = 100
			}
			out, _, err := c.Append([]byte("before"), b, room)
			if e, ok := errors.AsType[*RoomError](err); !ok || e.Size <= room || string(out) != "before" {
				t.Errorf("%v, v%d: %q, error %v with room for %d", codec, magic, out, err, room)
			} else if codec != None && e.Size != len(whole) {
				t.Errorf("%v, v%d: %d bytes are wanted for %d", codec, magic, e.Size, len(whole))
			}
		}
	}
}

// TestConvert protects what old clients get: the same records, without headers, and without
// timestamps in format v0.
func TestConvert(t *testing.T) {
	records := some(30, 400)
	for i := range records {
		records[i].Offset = 100 + int64(i)
		records[i].Headers = vectorHeader
	}
	for _, magic := range []int8{0, 1} {
		for _, codec := range []Codec{None, Gzip, Snappy, LZ4} {
			for _, timestamps := range []TimestampType{CreateTime, LogAppendTime} {
				t.Run(fmt.Sprint(magic, codec, timestamps), func(t *testing.T) {
					opts := BuilderOptions{Codec: codec, BaseOffset: 100, TimestampType: timestamps, AppendTime: 5000, Producer: vectorP}
					source := build(t, 2, opts, records...)
					got, err := convertAll([]byte("before"), source, Conversion{Magic: magic, From: 110}, 1<<20)
					if err != nil || !bytes.HasPrefix(got, []byte("before")) {
						t.Fatal(err)
					}
					got = got[len("before"):]
					want := slices.Clone(records)
					if codec == None { // a client that asks from 110 sees nothing before that
						want = want[10:]
					}
					for i := range want {
						want[i].Headers = Headers{}
						switch {
						case magic == MagicV0:
							want[i].Timestamp = NoTimestamp
						case timestamps == LogAppendTime:
							want[i].Timestamp = 5000
						}
					}
					requireSame(t, mustCollect(t, got), want)
					err = Each(got, func(b Batch) error {
						if b.Magic() != magic || b.Codec() != codec || magic == MagicV1 && b.TimestampType() != timestamps {
							t.Errorf("magic %d, codec %v, timestamp type %v", b.Magic(), b.Codec(), b.TimestampType())
						}
						return b.Check()
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

func TestConvertOtherBatches(t *testing.T) {
	v0, v1 := unhex(t, vectors.v0LZ4), unhex(t, vectors.v1LZ4)
	marker, empty := unhex(t, vectors.marker), unhex(t, vectors.empty)
	v2 := unhex(t, vectors.v2)
	zstd := build(t, 2, BuilderOptions{Codec: Zstd}, vectorR1)
	negative := build(t, 2, BuilderOptions{}, Record{Timestamp: -7, Key: []byte("k")})
	tests := []struct {
		name  string
		data  []byte
		magic int8
		want  []byte
		err   error
	}{
		{"old enough", slices.Concat(v0, v1), 1, slices.Concat(v0, v1), nil},
		{"all as they are", slices.Concat(v0, v1, v2, marker, zstd), 2, slices.Concat(v0, v1, v2, marker, zstd), nil},
		{"markers", slices.Concat(marker, v1, marker), 1, v1, nil},
		{"empty", empty, 0, nil, nil},
		{"zstd", slices.Concat(v1, zstd), 1, v1, ErrUnsupportedCompression},
		{"cut", slices.Concat(v1, v2[:70]), 1, v1, nil},
		{"all before the start", v2, 1, nil, nil},
		{"negative timestamp", negative, 1, build(t, 1, BuilderOptions{}, Record{Timestamp: -1, Key: []byte("k")}), nil},
		{"magic", append(bytes.Clone(v1), slices.Replace(bytes.Clone(v2), posMagic, posMagic+1, 9)...), 1, v1, ErrCorrupt},
		{"count", put32(bytes.Clone(v2), posCount, 3), 1, nil, ErrInvalidRecord},
	}
	for _, tt := range tests {
		start := int64(0)
		if tt.name == "all before the start" {
			start = 50
		}
		got, err := convertAll(nil, tt.data, Conversion{tt.magic, start}, 1<<20)
		if !errors.Is(err, tt.err) || !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, error %v; want %x, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// TestOldOffsets has the rules by which the offsets inside a compressed message are found.
func TestOldOffsets(t *testing.T) {
	offsets := func(b []byte) (all []int64) {
		for _, r := range mustCollect(t, b) {
			all = append(all, r.Offset)
		}
		return all
	}
	v1 := build(t, 1, BuilderOptions{Codec: Gzip, BaseOffset: 7}, some(3, 5)...)
	if got := offsets(v1); !slices.Equal(got, []int64{7, 8, 9}) || Batch(v1).BaseOffset() != 9 {
		t.Errorf("offsets %v in v1", got)
	}
	if first, err := Batch(v1).FirstOffset(); first != 7 || err != nil {
		t.Errorf("first offset %d, error %v", first, err)
	}
	// Some versions of librdkafka leave the outer offset at 0.
	if got := offsets(put64(bytes.Clone(v1), 0, 0)); !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("offsets %v with outer offset 0", got)
	}
	if _, err := collect(put64(bytes.Clone(v1), 0, 1)); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("error %v for an outer offset that is too small", err)
	}
	v0 := build(t, 0, BuilderOptions{Codec: Gzip, BaseOffset: 7}, some(3, 5)...)
	if got := offsets(put64(v0, 0, 1000)); !slices.Equal(got, []int64{7, 8, 9}) {
		t.Errorf("offsets %v in v0", got)
	}
}

// TestOldAppendTime protects that an outer timestamp overrides inner ones with LogAppendTime only.
func TestOldAppendTime(t *testing.T) {
	for timestamps, want := range map[TimestampType]int64{CreateTime: 1000, LogAppendTime: 99} {
		b := build(t, 1, BuilderOptions{Codec: Gzip}, Record{Timestamp: 1000})
		if timestamps == LogAppendTime {
			b[posLegacyAttributes] |= timestampTypeBit
		}
		put64(b, posLegacyTime, 99)
		if got := mustCollect(t, b)[0].Timestamp; got != want {
			t.Errorf("%v: %d, want %d", timestamps, got, want)
		}
	}
}
