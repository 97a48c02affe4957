package record

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
)

// inflateAll decompresses data in steps of the sizes that a stream reads.
func inflateAll(data []byte, step int) (out, rest []byte, err error) {
	f := new(inflater)
	f.reset(data)
	buf := make([]byte, step)
	for {
		n, err := f.read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return out, f.rest(), nil
		}
		if err != nil || len(out) > 16<<20 {
			return out, nil, err
		}
	}
}

func deflate(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
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

// TestInflate decompresses what has many kinds of matches and codes, at all levels.
func TestInflate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	inputs := map[string][]byte{"nothing": nil, "a byte": {7}, "zeros": make([]byte, 300_000)}
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	inputs["noise"] = noise
	for _, alphabet := range []uint32{2, 3, 10, 60, 250} {
		skewed := make([]byte, 150_000)
		for i := range skewed { // frequencies far apart make long codes
			skewed[i] = byte(random.Uint32N(1 + random.Uint32N(1+random.Uint32N(alphabet))))
		}
		inputs[string(rune('a'+alphabet))] = skewed
	}
	var matches []byte // at all distances
	for len(matches) < 400_000 {
		if n := len(matches); n > 100 && random.IntN(3) > 0 {
			from := n - 1 - random.IntN(min(n-1, 1<<random.IntN(16)))
			for range 3 + random.IntN(1<<random.IntN(9)) {
				matches = append(matches, matches[from])
				from++
			}
		} else {
			matches = append(matches, noise[:random.IntN(20)]...)
		}
	}
	inputs["matches"] = matches
	for name, input := range inputs {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			if raceEnabled && level != 1 && level != 9 {
				continue
			}
			data := append(deflate(t, input, level), "rest"...)
			for _, step := range []int{minRead, windowBytes, 1000} {
				out, rest, err := inflateAll(data, step)
				if err != nil || !bytes.Equal(out, input) || string(rest) != "rest" {
					t.Errorf("%s, level %d, step %d: %d bytes of %d, rest %q, error %v", name, level, step, len(out), len(input), rest, err)
				}
			}
		}
	}
}

// TestInflateRefuses has streams that are cut or wrong in each part.
func TestInflateRefuses(t *testing.T) {
	good := deflate(t, encode(some(20, 200)...), 6)
	for n := range good {
		if _, _, err := inflateAll(good[:n], minRead); err == nil {
			t.Errorf("%d bytes of %d are enough", n, len(good))
		}
	}
	for name, data := range map[string][]byte{
		"block type 3":         {0x07},
		"stored length":        {0x01, 5, 0, 5, 0, 1, 2, 3, 4, 5},
		"match before start":   {0x4b, 0x04, 0x12, 0x00, 0x00, 0x00},
		"too many codes":       {0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"codes without symbol": {0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
	} {
		if out, _, err := inflateAll(data, minRead); err == nil {
			t.Errorf("%s: %d bytes", name, len(out))
		}
	}
}

// FuzzInflate compares with the standard library: what both take must be the same. Each may refuse
// codes that the other takes; zlib, which we follow, is the stricter one.
func FuzzInflate(f *testing.F) {
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		f.Add(deflate(f, encode(some(5, 100)...), level))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, _, err := inflateAll(data, minRead)
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), 17<<20))
		if len(want) > 16<<20 {
			return
		}
		if err == nil && wantErr != nil {
			t.Errorf("taken, but %v", wantErr)
		}
		if err == nil && !bytes.Equal(out, want) {
			t.Errorf("%d bytes, want %d", len(out), len(want))
		}
		if err != nil && wantErr == nil && err != errInflateCode {
			t.Errorf("%d bytes, then %v", len(out), err)
		}
	})
}
