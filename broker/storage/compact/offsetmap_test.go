package compact

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"
)

// TestOffsetMapIsAMap compares maps of many sizes, filled to the brim, with Go's.
func TestOffsetMapIsAMap(t *testing.T) {
	rng := seed.Rand(t)
	for _, slots := range []int64{0, 1, 2, 3, 10, 100, 5000, 50000} {
		for _, load := range []float64{0.5, 0.9, 1} {
			m := NewOffsetMap(slots*SlotBytes+SlotBytes-1, load)
			for range 2 {
				compareMaps(t, m, int(float64(slots)*load), rng)
				m.Reset()
			}
			if t.Failed() {
				t.Fatalf("%d slots, load factor %v", slots, load)
			}
		}
	}
}

func compareMaps(t *testing.T, m *OffsetMap, most int, rng *rand.Rand) {
	want := map[string]int64{}
	last := int64(-1)
	for offset := int64(0); ; offset++ {
		key := binary.AppendUvarint(nil, rng.Uint64N(uint64(2*most+1)))
		if full := m.Full(); full != (len(want) == most) {
			t.Fatalf("full: %v with %d of %d keys", full, len(want), most)
		}
		if !m.Put(key, offset) {
			break
		}
		want[string(key)], last = offset, offset
	}
	if len(want) != most || m.Len() != most || m.Latest() != last || m.End() != last+1 {
		t.Errorf("%d keys of %d, of which %d were put, up to offset %d of %d", m.Len(), most, len(want), m.Latest(), last)
	}
	for i := range uint64(2*most + 1) {
		key := binary.AppendUvarint(nil, i)
		offset, ok := m.get(m.hash(key))
		if w, in := want[string(key)]; ok != in || ok && offset != w {
			t.Errorf("key %x at %d, %v, want %d, %v", key, offset, ok, w, in)
		}
	}
}

// TestKeysAreToldApartBySecret has two maps give the same keys different places, so that nobody can know them.
func TestKeysAreToldApartBySecret(t *testing.T) {
	m := NewOffsetMap(1<<10, 1)
	places := map[uint64]bool{}
	for range 100 {
		hi, lo := m.hash([]byte("key"))
		if places[hi] || places[lo] {
			t.Fatal("the same hash after a Reset")
		}
		places[hi], places[lo] = true, true
		m.Reset()
	}
}
