package record

import (
	"errors"
	"slices"
	"testing"
)

func TestCheckRequest(t *testing.T) {
	v2, v1 := unhex(t, vectors.v2), unhex(t, vectors.v1)
	zstd := build(t, 2, BuilderOptions{Codec: Zstd}, vectorR1)
	badMagic := slices.Replace(slices.Clone(v2), posMagic, posMagic+1, 5)
	tests := []struct {
		name    string
		version int16
		data    []byte
		want    error
	}{
		{"one batch", 9, v2, nil}, {"something cut behind", 9, append(slices.Clone(v2), v2[:20]...), nil},
		{"nothing", 3, nil, ErrInvalidRecord}, {"cut", 9, v2[:len(v2)-1], ErrInvalidRecord}, {"garbage", 9, []byte("0123456789"), ErrInvalidRecord},
		{"v1", 3, v1, ErrInvalidRecord}, {"two batches", 9, slices.Concat(v2, v2), ErrInvalidRecord}, {"bad second", 9, slices.Concat(v2, badMagic), ErrCorrupt},
		{"magic", 9, badMagic, ErrCorrupt}, {"zstd in 6", 6, zstd, ErrUnsupportedCompression}, {"zstd in 7", 7, zstd, nil},
		{"codec in 6", 6, setBits(slices.Clone(v2), 7), ErrDecompress}, {"codec in 7", 7, setBits(slices.Clone(v2), 7), nil},
		{"old request", 2, v1, nil}, {"old request, new batch", 2, v2, nil}, {"old request, nothing", 0, nil, nil},
	}
	for _, tt := range tests {
		if err := CheckRequest(tt.version, tt.data); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}
