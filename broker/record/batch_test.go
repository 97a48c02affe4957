package record

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestNext(t *testing.T) {
	v0, v1, v2 := unhex(t, vectors.v0), unhex(t, vectors.v1), unhex(t, vectors.v2)
	all := slices.Concat(v0, v1, v2)
	want := [][]byte{v0, v1, v2}
	for rest := all; len(rest) > 0; want = want[1:] {
		b, next, err := Next(rest)
		if err != nil || !bytes.Equal(b, want[0]) || cap(b) != len(b) {
			t.Fatalf("%x, error %v", []byte(b), err)
		}
		if size, err := PeekSize(rest[:PeekLen]); size != len(b) || err != nil {
			t.Errorf("size %d, error %v", size, err)
		}
		rest = next
	}
	for n := range v2 {
		if _, _, err := Next(v2[:n]); err != ErrShort {
			t.Errorf("%d bytes: error %v", n, err)
		}
	}
	change := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	for name, data := range map[string][]byte{
		"magic 3": change(v2, posMagic, 3), "magic -1": change(v2, posMagic, 255),
		"size 13": change(v2, posSize, 0, 0, 0, 13), "size -1": change(v2, posSize, 255, 255, 255, 255),
		"size of v2": change(v2, posSize, 0, 0, 0, 48), "size of v1": change(v1, posSize, 0, 0, 0, 21),
		"size before all else": change(v2, posSize, 0, 0, 0, 1)[:OverheadSize],
	} {
		if _, _, err := Next(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSetters(t *testing.T) {
	for _, vector := range []string{vectors.v2, vectors.v1, vectors.v0} {
		b := Batch(unhex(t, vector))
		b.SetBaseOffset(1 << 40)
		b.SetLeaderEpoch(99)
		if err := b.Check(); err != nil || b.BaseOffset() != 1<<40 {
			t.Errorf("base offset %d, error %v", b.BaseOffset(), err)
		}
		if want := int32(99); b.Magic() == MagicV2 && b.LeaderEpoch() != want || b.Magic() < MagicV2 && b.LeaderEpoch() != NoLeaderEpoch {
			t.Errorf("magic %d: leader epoch %d", b.Magic(), b.LeaderEpoch())
		}
	}
}

// TestSequenceWraps protects the arithmetic around the largest sequence number.
func TestSequenceWraps(t *testing.T) {
	tests := []struct{ sequence, n, want int32 }{
		{0, 0, 0}, {5, 3, 8}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32, 2, 1},
		{math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32 - 5, 10, 4}, {0, math.MaxInt32, math.MaxInt32}, {1, math.MaxInt32, 0},
	}
	for _, tt := range tests {
		if got := IncrementSequence(tt.sequence, tt.n); got != tt.want {
			t.Errorf("%d + %d = %d, want %d", tt.sequence, tt.n, got, tt.want)
		}
		if got := DecrementSequence(tt.want, tt.n); got != tt.sequence {
			t.Errorf("%d - %d = %d, want %d", tt.want, tt.n, got, tt.sequence)
		}
	}
	b := Batch(build(t, 2, BuilderOptions{Producer: &ProducerInfo{Sequence: math.MaxInt32}}, some(3, 1)...))
	if b.LastSequence() != 1 {
		t.Errorf("last sequence %d", b.LastSequence())
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"gzip", "snappy", "lz4", "zstd", "producer"} {
		if c, ok := ParseCompression(name); !ok || c.String() != name {
			t.Errorf("%s is %v, %v", name, c, ok)
		}
	}
	if c, ok := ParseCompression("uncompressed"); !ok || c != None {
		t.Errorf("uncompressed is %v, %v", c, ok)
	}
	for _, name := range []string{"none", "", "lzo"} {
		if _, ok := ParseCompression(name); ok {
			t.Errorf("%q is taken", name)
		}
	}
	if CreateTime.String() != "CreateTime" || LogAppendTime.String() != "LogAppendTime" || NoTimestampType.String() != "NoTimestampType" || Codec(7).String() != "unknown" || None.String() != "none" {
		t.Error("wrong name")
	}
}
