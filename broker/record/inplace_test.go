package record

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestInPlaceIsOpenedAgain goes over good and bad batches with one InPlace: nothing of one is left for the next one.
func TestInPlaceIsOpenedAgain(t *testing.T) {
	want := some(3, 40)
	good := Batch(build(t, 2, BuilderOptions{}, want...))
	bad := Batch(bytes.Clone(good))
	bad[HeaderSize] = 1 // the first record's length is negative
	more := Batch(bytes.Clone(good))
	more[posCount+3] = 2 // of three records
	negative := Batch(bytes.Clone(good))
	negative[posCount] = 0x80
	empty := Batch(unhex(t, vectors.empty))

	var p InPlace
	for round := range 2 {
		for _, tt := range []struct {
			name    string
			batch   Batch
			records int
			fails   bool
		}{
			{"whole", good, 3, false}, {"bad length", bad, 0, true}, {"more than its header says", more, 1, true},
			{"negative count", negative, 0, true}, {"empty", empty, 0, false},
		} {
			n := 0
			for p.Open(tt.batch); p.Next(); n++ {
				if r := p.Record; !bytes.Equal(r.Key, want[n].Key) || !bytes.Equal(r.Value, want[n].Value) || r.Headers.Len() != want[n].Headers.Len() {
					t.Errorf("%s, round %d: record %d is %+v", tt.name, round, n, r)
				}
			}
			if err := p.Err(); n != tt.records || (err != nil) != tt.fails || p.Next() {
				t.Errorf("%s, round %d: %d records, then %v", tt.name, round, n, err)
			}
		}
	}
}

// TestShortBodies takes random bodies apart, most of which are nearly good ones: those that are taken for short are good
// in the general way, too, and are the same records.
func TestShortBodies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 300_000 {
		key, value := make([]byte, random.IntN(70)), make([]byte, random.IntN(70))
		body := []byte{0, byte(random.IntN(256)), byte(random.IntN(256))}
		body = append(appendBytes(appendBytes(body, key), value), 0)
		for range random.IntN(3) {
			body[random.IntN(len(body))] = byte(random.IntN(256))
		}
		body = body[:len(body)-random.IntN(2)*random.IntN(len(body))]
		if _, _, ok := short(body); !ok {
			continue
		}
		taken++
		d := decoder{offset: 100, time: 1000, sequence: int32(random.IntN(3)) - 1, timed: random.IntN(2) == 0, allTime: 7}
		var got, want Record
		if err := d.decode(body, &got); err != nil {
			t.Fatalf("%x: %v", body, err)
		}
		if err := d.decodeAny(body, &want); err != nil {
			t.Fatalf("%x is taken for good: %v", body, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%x is %+v, want %+v", body, got, want)
		}
	}
	if taken < 10_000 {
		t.Errorf("%d bodies were short", taken)
	}
}
