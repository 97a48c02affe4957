package fetch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gregor-mq/gregor/broker/record"
)

// stored is a section in memory.
type stored struct {
	*bytes.Reader
	released *atomic.Int32
}

func (s stored) Open() (*os.File, int64, error) { return nil, 0, nil }
func (s stored) Close()                         {}
func (s stored) Release()                       { s.released.Add(1) }

func section(data []byte) (stored, *atomic.Int32) {
	released := new(atomic.Int32)
	return stored{bytes.NewReader(data), released}, released
}

// noise returns records of one batch, from an offset on, that no codec makes smaller.
func noise(t *testing.T, codec record.Codec, base int64, sizes ...int) []byte {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{Codec: codec, BaseOffset: base})
	random := rand.NewChaCha8([32]byte{})
	for _, size := range sizes {
		value := make([]byte, size)
		_, _ = random.Read(value)
		if err := b.Append(record.Record{Timestamp: 7, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// read reads a section to its end, in pieces of one size.
func read(t *testing.T, s io.ReaderAt, size int64, piece int) []byte {
	t.Helper()
	all := make([]byte, size)
	for at := 0; at < len(all); at += piece {
		p := all[at:min(at+piece, len(all))]
		if n, err := s.ReadAt(p, int64(at)); n < len(p) {
			t.Fatalf("%d of %d bytes at %d: %v", n, len(p), at, err)
		}
	}
	return all
}

// TestConvertedWhileSent protects what a client is sent: whole messages from the offset that it asked for, and behind
// them one that is larger than what is left.
func TestConvertedWhileSent(t *testing.T) {
	const mib = 1 << 20
	many := slices.Repeat([]int{100}, 20_000)
	tests := []struct {
		name    string
		batches [][]byte
		from    int64
		last    int64 // offset of the last message that comes whole
	}{
		{"several batches", [][]byte{noise(t, record.None, 0, 10, 10, 10), noise(t, record.None, 3, 2000)}, 1, 3},
		{"in many chunks", [][]byte{noise(t, record.None, 0, many...)}, 0, 19_999},
		{"compressed", [][]byte{noise(t, record.Gzip, 0, 10, 10), noise(t, record.LZ4, 2, 1000, 1000)}, 1, 1},
		{"larger than a chunk", [][]byte{noise(t, record.None, 0, mib, 10, mib)}, 0, 2},
		{"larger than a chunk, compressed", [][]byte{noise(t, record.LZ4, 0, mib, 10, mib), noise(t, record.None, 3, 10)}, 0, 2},
		{"zstd behind others", [][]byte{noise(t, record.None, 0, 10), noise(t, record.Zstd, 1, 5000)}, 0, 0},
	}
	for _, tt := range tests {
		for _, piece := range []int{copyPiece, 1000} {
			t.Run(tt.name, func(t *testing.T) {
				src, released := section(slices.Concat(tt.batches...))
				got, err := newConversions(largeBytes).convert(src, src.Size(), record.Conversion{Magic: 1, From: tt.from})
				if err != nil {
					t.Fatal(err)
				}
				next, rest := int64(-1), read(t, got, got.Size(), piece)
				for {
					b, behind, err := record.Next(rest)
					if err != nil {
						break
					}
					first, err := b.FirstOffset()
					if err := errors.Join(err, b.Check()); err != nil || next >= 0 && first != next || b.Magic() != 1 {
						t.Fatalf("magic %d, first offset %d, want %d; %v", b.Magic(), first, next, err)
					}
					next, rest = b.LastOffset()+1, behind
				}
				if next != tt.last+1 {
					t.Errorf("messages up to %d, want %d", next-1, tt.last)
				}
				if len(rest) >= record.OverheadSize && int(binary.BigEndian.Uint32(rest[8:])) <= len(rest)-record.OverheadSize {
					t.Errorf("%d bytes at the end look like a whole message", len(rest))
				}
				if got.Release(); released.Load() != 1 {
					t.Errorf("the section was released %d times", released.Load())
				}
			})
		}
	}
}

const copyPiece = 64 << 10

// TestNothingConverted protects what comes of batches of which nothing is left.
func TestNothingConverted(t *testing.T) {
	marker := record.NewBuilder(record.MagicV2, record.BuilderOptions{Control: true, Transactional: true, Producer: &record.ProducerInfo{ID: 1, Sequence: -1}})
	if err := marker.Append(record.Record{Key: make([]byte, 4), Value: make([]byte, 6)}); err != nil {
		t.Fatal(err)
	}
	control, err := marker.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := noise(t, record.None, 0, 100)
	for _, tt := range []struct {
		name string
		data []byte
		size int64
		err  error
	}{
		{"no whole batch", plain[:len(plain)-1], 0, nil},
		{"a marker", control, record.OverheadSize, nil},
		{"zstd", slices.Concat(control, noise(t, record.Zstd, 1, 10)), 0, record.ErrUnsupportedCompression},
	} {
		src, released := section(tt.data)
		got, err := newConversions(largeBytes).convert(src, src.Size(), record.Conversion{Magic: 1})
		if !errors.Is(err, tt.err) || (got == nil) != (tt.size == 0) {
			t.Errorf("%s: %v, error %v", tt.name, got, err)
		}
		if got != nil {
			if got.Size() != tt.size || binary.BigEndian.Uint32(read(t, got, got.Size(), copyPiece)[8:]) <= record.OverheadSize {
				t.Errorf("%s: %d bytes, want %d", tt.name, got.Size(), tt.size)
			}
			got.Release()
		}
		if released.Load() != 1 {
			t.Errorf("%s: the section was released %d times", tt.name, released.Load())
		}
	}
}

// TestSlowClientsHoldBoundedMemory: of many clients that stop reading within a large message as many hold it as may,
// the others wait, and all get on once those go.
func TestSlowClientsHoldBoundedMemory(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.LZ4} {
		data := noise(t, codec, 0, 1<<20)
		synctest.Test(t, func(t *testing.T) {
			const clients, large = 20, 5 << 20 // four messages, which are slightly larger than their values
			memory := newConversions(large)
			var holding atomic.Int32
			leave := make(chan struct{})
			for range clients {
				go func() {
					src, _ := section(data)
					c, err := memory.convert(src, src.Size(), record.Conversion{Magic: 1})
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Release()
					if _, err := c.ReadAt(make([]byte, 100), 0); err != nil {
						t.Error(err)
					}
					holding.Add(1)
					<-leave
					holding.Add(-1)
				}()
			}
			for left := clients; left > 0; left-- {
				synctest.Wait()
				if n := holding.Load(); n != int32(min(4, left)) {
					t.Fatalf("%v: %d clients hold a message, %d are left", codec, n, left)
				}
				leave <- struct{}{}
			}
			synctest.Wait()
			if !memory.large.TryAcquire(large) || !memory.first.TryAcquire(firstBytes) {
				t.Errorf("%v: memory is still accounted for", codec)
			}
		})
	}
}
