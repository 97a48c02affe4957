package record

import (
	"encoding/binary"
	"math/bits"
)

const (
	xxPrime1 = 2654435761
	xxPrime2 = 2246822519
	xxPrime3 = 3266489917
	xxPrime4 = 668265263
	xxPrime5 = 374761393
)

// xxHash32 is the 32-bit xxHash with seed 0, as LZ4 frames use it. The zero value is not ready: see
// reset.
type xxHash32 struct {
	v     [4]uint32
	tail  [16]byte
	n     int // bytes in tail
	total uint64
}

// xxHash32Of returns the hash of b.
func xxHash32Of(b []byte) uint32 {
	var h xxHash32
	h.reset()
	h.write(b)
	return h.sum()
}

func (h *xxHash32) reset() {
	var p1, p2 uint32 = xxPrime1, xxPrime2
	*h = xxHash32{v: [4]uint32{p1 + p2, p2, 0, -p1}}
}

func (h *xxHash32) write(b []byte) {
	h.total += uint64(len(b))
	if h.n > 0 {
		n := copy(h.tail[h.n:], b)
		h.n += n
		b = b[n:]
		if h.n < len(h.tail) {
			return
		}
		h.blocks(h.tail[:])
		h.n = 0
	}
	whole := len(b) &^ 15
	h.blocks(b[:whole])
	h.n = copy(h.tail[:], b[whole:])
}

func (h *xxHash32) blocks(b []byte) {
	v0, v1, v2, v3 := h.v[0], h.v[1], h.v[2], h.v[3]
	for ; len(b) >= 16; b = b[16:] {
		v0 = bits.RotateLeft32(v0+binary.LittleEndian.Uint32(b)*xxPrime2, 13) * xxPrime1
		v1 = bits.RotateLeft32(v1+binary.LittleEndian.Uint32(b[4:])*xxPrime2, 13) * xxPrime1
		v2 = bits.RotateLeft32(v2+binary.LittleEndian.Uint32(b[8:])*xxPrime2, 13) * xxPrime1
		v3 = bits.RotateLeft32(v3+binary.LittleEndian.Uint32(b[12:])*xxPrime2, 13) * xxPrime1
	}
	h.v = [4]uint32{v0, v1, v2, v3}
}

func (h *xxHash32) sum() uint32 {
	sum := uint32(h.total)
	if h.total >= 16 {
		sum += bits.RotateLeft32(h.v[0], 1) + bits.RotateLeft32(h.v[1], 7) +
			bits.RotateLeft32(h.v[2], 12) + bits.RotateLeft32(h.v[3], 18)
	} else {
		sum += xxPrime5
	}
	b := h.tail[:h.n]
	for ; len(b) >= 4; b = b[4:] {
		sum = bits.RotateLeft32(sum+binary.LittleEndian.Uint32(b)*xxPrime3, 17) * xxPrime4
	}
	for _, c := range b {
		sum = bits.RotateLeft32(sum+uint32(c)*xxPrime5, 11) * xxPrime1
	}
	sum = (sum ^ sum>>15) * xxPrime2
	sum = (sum ^ sum>>13) * xxPrime3
	return sum ^ sum>>16
}
