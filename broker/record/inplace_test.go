package record

import (
	"bytes"
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
