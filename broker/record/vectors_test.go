package record

import (
	"bytes"
	"testing"
)

// vectors are batches that Kafka's own classes wrote.
var vectors = struct {
	v2, transactional, lz4, snappy, v1, v0, v1LZ4, v0LZ4, marker, empty string
}{
	v2:            "0000000000000005000000480000000402332c6b4200000000000100000000000003e800000000000003ed000000000000004d000300000009000000021a000000026b047631020268027810000a020104763200",
	transactional: "00000000000000050000003f00000004026ae7743500100000000000000000000003e800000000000003e8000000000000004d000300000009000000011a000000026b0476310202680278",
	lz4:           "0000000000000000000000570000000402b10b775500030000000100000000000003e800000000000003edffffffffffffffffffffffffffff0000000204224d18604082170000801a000000026b047631020268027810000a02010476320000000000",
	snappy:        "00000000000000000000005e00000004025a5aedcb00020000000100000000000003e800000000000003edffffffffffffffffffffffffffff0000000282534e415050590000000001000000010000001917581a000000026b047631020268027810000a020104763200",
	v1:            "00000000000000050000001943a94d68010000000000000003e8000000016b000000027631",
	v0:            "000000000000000500000011615054270000000000016b000000027631",
	v1LZ4:         "00000000000000060000005d31ba42a4010300000000000003edffffffff0000004704224d186040823800000016000100631943a94d68011000d303e8000000016b0000000276311400001c0050185fce508c0900000200c003edffffffff00000002763200000000",
	v0LZ4:         "00000000000000050000003672e6691a0003ffffffff0000002804224d1860401a1900000012000100910500000011615054270f0080016b00000002763100000000",
	marker:        "000000000000002a000000420000000602e71bb86800300000000000000000000007d000000000000007d0000000000000004d0003ffffffff000000012000000008000000010c00000000000800",
	empty:         "000000000000000500000031000000040242fb4049000000000001ffffffffffffffff00000000000003ed000000000000004d00030000000900000000",
}

var (
	vectorHeader = MakeHeaders(Header{Key: "h", Value: []byte("x")})
	vectorR1     = Record{Timestamp: 1000, Key: []byte("k"), Value: []byte("v1"), Headers: vectorHeader}
	vectorS1     = Record{Timestamp: 1000, Key: []byte("k"), Value: []byte("v1")}
	vectorR2     = Record{Timestamp: 1005, Value: []byte("v2")}
	vectorP      = &ProducerInfo{ID: 77, Epoch: 3, Sequence: 9}
)

func at(offset int64, r Record) Record {
	r.Offset = offset
	return r
}

// TestVectors reads what Kafka wrote, and writes the same records again.
func TestVectors(t *testing.T) {
	noTime := func(r Record) Record { r.Timestamp = NoTimestamp; return r }
	tests := []struct {
		name    string
		vector  string
		magic   int8
		opts    BuilderOptions
		records []Record
		last    int64
		max     int64
		exact   bool // the bytes we write are Kafka's
	}{
		{"v2", vectors.v2, 2, BuilderOptions{BaseOffset: 5, LeaderEpoch: 4, Producer: vectorP}, []Record{at(5, vectorR1), at(6, vectorR2)}, 6, 1005, true},
		{"transactional", vectors.transactional, 2, BuilderOptions{BaseOffset: 5, LeaderEpoch: 4, Producer: vectorP, Transactional: true}, []Record{at(5, vectorR1)}, 5, 1000, true},
		{"lz4", vectors.lz4, 2, BuilderOptions{LeaderEpoch: 4, Codec: LZ4}, []Record{at(0, vectorR1), at(1, vectorR2)}, 1, 1005, true},
		{"snappy", vectors.snappy, 2, BuilderOptions{LeaderEpoch: 4, Codec: Snappy}, []Record{at(0, vectorR1), at(1, vectorR2)}, 1, 1005, true},
		{"v1", vectors.v1, 1, BuilderOptions{BaseOffset: 5}, []Record{at(5, vectorS1)}, 5, 1000, true},
		{"v0", vectors.v0, 0, BuilderOptions{BaseOffset: 5}, []Record{at(5, noTime(vectorS1))}, 5, NoTimestamp, true},
		{"v1 lz4", vectors.v1LZ4, 1, BuilderOptions{BaseOffset: 5, Codec: LZ4}, []Record{at(5, vectorS1), at(6, vectorR2)}, 6, 1005, false},
		{"v0 lz4", vectors.v0LZ4, 0, BuilderOptions{BaseOffset: 5, Codec: LZ4}, []Record{at(5, noTime(vectorS1))}, 5, NoTimestamp, false},
		{"empty", vectors.empty, 2, BuilderOptions{}, nil, 6, 1005, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := unhex(t, tt.vector)
			b, rest, err := Next(data)
			if err != nil || len(rest) != 0 {
				t.Fatalf("Next left %d bytes, error %v", len(rest), err)
			}
			if err := b.Check(); err != nil {
				t.Error(err)
			}
			if b.Magic() != tt.magic || b.LastOffset() != tt.last || b.MaxTimestamp() != tt.max {
				t.Errorf("magic %d, last offset %d, max timestamp %d; want %d, %d, %d", b.Magic(), b.LastOffset(), b.MaxTimestamp(), tt.magic, tt.last, tt.max)
			}
			requireSame(t, mustCollect(t, data), tt.records)
			if first, err := b.FirstOffset(); err != nil || len(tt.records) > 0 && first != tt.records[0].Offset {
				t.Errorf("first offset %d, error %v", first, err)
			}
			if len(tt.records) == 0 {
				return
			}
			again := build(t, tt.magic, tt.opts, tt.records...)
			if tt.exact && !bytes.Equal(again, data) {
				t.Errorf("built %x, want %x", again, data)
			}
			requireSame(t, mustCollect(t, again), tt.records)
		})
	}
}

func TestVectorFields(t *testing.T) {
	b := Batch(unhex(t, vectors.v2))
	if b.BaseOffset() != 5 || b.NextOffset() != 7 || b.LeaderEpoch() != 4 || b.ProducerID() != 77 || b.ProducerEpoch() != 3 ||
		b.BaseSequence() != 9 || b.LastSequence() != 10 || b.Count() != 2 || b.BaseTimestamp() != 1000 || !b.HasProducerID() ||
		b.IsTransactional() || b.IsControl() || b.Codec() != None || b.TimestampType() != CreateTime {
		t.Errorf("wrong field in %x", []byte(b))
	}
	for i, r := range mustCollect(t, b) {
		if r.Sequence != 9+int32(i) {
			t.Errorf("sequence of record %d is %d", i, r.Sequence)
		}
	}
	v0 := Batch(unhex(t, vectors.v0))
	if v0.TimestampType() != NoTimestampType || v0.Count() != 1 || v0.LeaderEpoch() != NoLeaderEpoch || v0.HasProducerID() || v0.LastSequence() != NoSequence {
		t.Errorf("wrong field in %x", []byte(v0))
	}
	if v1 := Batch(unhex(t, vectors.v1LZ4)); v1.Count() != -1 || v1.Codec() != LZ4 || v1.TimestampType() != CreateTime {
		t.Errorf("wrong field in %x", []byte(v1))
	}
}

func TestMarkerVector(t *testing.T) {
	want := unhex(t, vectors.marker)
	got := AppendMarker(nil, MarkerOptions{
		Marker: Marker{Commit: true, CoordinatorEpoch: 8}, ProducerID: 77, ProducerEpoch: 3, BaseOffset: 42, LeaderEpoch: 6, Timestamp: 2000,
	})
	if !bytes.Equal(got, want) {
		t.Errorf("built %x, want %x", got, want)
	}
	m, ok, err := Batch(want).Marker()
	if m != (Marker{Commit: true, CoordinatorEpoch: 8}) || !ok || err != nil {
		t.Errorf("read %+v, %v, %v", m, ok, err)
	}
	if _, ok, err := Batch(unhex(t, vectors.v2)).Marker(); ok || err != nil {
		t.Errorf("a data batch has a marker (error %v)", err)
	}
}

func TestAppendEmptyVector(t *testing.T) {
	got := AppendEmpty(nil, Batch(unhex(t, vectors.v2)))
	if want := unhex(t, vectors.empty); !bytes.Equal(got, want) {
		t.Errorf("built %x, want %x", got, want)
	}
}

// TestLZ4HeaderChecksum protects the clients of format v0, which expect the wrong header checksum.
func TestLZ4HeaderChecksum(t *testing.T) {
	v0 := build(t, 0, BuilderOptions{Codec: LZ4}, vectorS1)
	if !bytes.Contains(v0, []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x1a}) {
		t.Errorf("%x has no header with the old checksum", v0)
	}
	v1 := build(t, 1, BuilderOptions{Codec: LZ4}, vectorS1)
	i := bytes.Index(v1, []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82})
	if i < 0 {
		t.Fatalf("%x has no header with the checksum", v1)
	}
	v1[i+6]++
	if _, err := collect(reseal(v1)); err == nil {
		t.Error("a wrong checksum in format v1 is not noticed")
	}
	j := bytes.Index(v0, []byte{0x04, 0x22, 0x4d, 0x18})
	v0[j+6]++
	if _, err := collect(reseal(v0)); err != nil {
		t.Errorf("any checksum should do in format v0: %v", err)
	}
}
