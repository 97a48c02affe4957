package record

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// TestRoundTrip builds and reads batches of each format with each codec.
func TestRoundTrip(t *testing.T) {
	for magic := MagicV0; magic <= MagicV2; magic++ {
		for _, codec := range allCodecs {
			if codec == Zstd && magic < MagicV2 {
				continue
			}
			records := some(50, 3000)
			records[3].Key, records[4].Value, records[5].Value = nil, nil, []byte{}
			for i := range records {
				records[i].Offset += 1000
				if magic == MagicV0 {
					records[i].Timestamp = NoTimestamp
				}
				if magic == MagicV2 {
					records[i].Headers = MakeHeaders(Header{"a", nil}, Header{"", []byte{}}, Header{"b", []byte("c")})
				}
			}
			data := build(t, magic, BuilderOptions{Codec: codec, BaseOffset: 1000}, records...)
			requireSame(t, mustCollect(t, data), records)
			for _, level := range []int{1, 3, 17} {
				requireSame(t, mustCollect(t, build(t, magic, BuilderOptions{Codec: codec, Level: level, BaseOffset: 1000}, records...)), records)
			}
		}
	}
}

// TestOptionsOf rebuilds batches from what their headers say, as compaction does.
func TestOptionsOf(t *testing.T) {
	horizon := BuilderOptions{BaseOffset: 10, DeleteHorizon: 123456, LastOffset: 50, Producer: vectorP, Transactional: true, LeaderEpoch: 3}
	for _, opts := range []BuilderOptions{
		{}, {Codec: LZ4, BaseOffset: 5}, horizon,
		{TimestampType: LogAppendTime, AppendTime: 1006, Codec: Zstd}, {Control: true, Producer: vectorP, Transactional: true},
	} {
		source := Batch(build(t, 2, opts, some(5, 100)...))
		bu := NewBuilder(2, OptionsOf(source))
		for r, err := range source.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if source.TimestampType() == LogAppendTime {
				r.Timestamp = 1000 + r.Offset // what the deltas say, for the same bytes
			}
			if err := bu.AppendAt(r); err != nil {
				t.Fatal(err)
			}
		}
		got, err := bu.Build([]byte("x"))
		if err != nil || !bytes.Equal(got[1:], source) {
			t.Errorf("%+v: %x, want %x (error %v)", opts, got[1:], []byte(source), err)
		}
	}
	b := Batch(build(t, 2, horizon, some(1, 1)...))
	if ms, ok := b.DeleteHorizon(); ms != 123456 || !ok || b.LastOffset() != 50 || b.BaseOffset() != 10 {
		t.Errorf("horizon %d, %v, last offset %d", ms, ok, b.LastOffset())
	}
	if _, ok := Batch(unhex(t, vectors.v2)).DeleteHorizon(); ok {
		t.Error("there is no horizon")
	}
}

func TestBuilderRefuses(t *testing.T) {
	r := Record{Key: []byte("k")}
	tests := []struct {
		name   string
		magic  int8
		opts   BuilderOptions
		record Record
		want   error // nil is any
	}{
		{"format", 3, BuilderOptions{}, r, nil},
		{"codec", 2, BuilderOptions{Codec: Producer}, r, nil},
		{"zstd in v1", 1, BuilderOptions{Codec: Zstd}, r, ErrUnsupportedCompression},
		{"transaction in v1", 1, BuilderOptions{Transactional: true}, r, ErrUnsupportedFormat},
		{"control in v1", 1, BuilderOptions{Control: true}, r, ErrUnsupportedFormat},
		{"producer in v0", 0, BuilderOptions{Producer: vectorP}, r, ErrUnsupportedFormat},
		{"horizon in v0", 0, BuilderOptions{DeleteHorizon: 5}, r, ErrUnsupportedFormat},
		{"transaction without producer", 2, BuilderOptions{Transactional: true}, r, nil},
		{"headers in v1", 1, BuilderOptions{}, Record{Headers: vectorHeader}, ErrUnsupportedFormat},
		{"timestamp in v1", 1, BuilderOptions{}, Record{Timestamp: -2}, ErrInvalidTimestamp},
		{"offset before", 2, BuilderOptions{BaseOffset: 5}, r, nil},
		{"offset after", 2, BuilderOptions{}, Record{Offset: math.MaxInt32 + 1}, nil},
	}
	for _, tt := range tests {
		bu := NewBuilder(tt.magic, tt.opts)
		err := bu.AppendAt(tt.record)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if data, again := bu.Build(nil); again == nil || len(data) != 0 {
			t.Errorf("%s: built %x", tt.name, data)
		}
	}
}

func TestBuilderUnused(t *testing.T) {
	for _, codec := range allCodecs {
		if data, err := NewBuilder(2, BuilderOptions{Codec: codec}).Build([]byte("x")); err != nil || string(data) != "x" {
			t.Errorf("%v: %x, error %v", codec, data, err)
		}
		bu := NewBuilder(2, BuilderOptions{Codec: codec})
		_ = bu.Append(Record{})
		bu.Discard()
		if _, err := bu.Build(nil); err == nil {
			t.Errorf("%v: a discarded builder builds", codec)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := MakeHeaders(Header{"a", nil}, Header{"b", []byte{}}, Header{"a", []byte("x")})
	var got []Header
	for k, v := range h.All() {
		got = append(got, Header{string(k), v})
	}
	if h.Len() != 3 || len(got) != 3 || got[0].Key != "a" || got[0].Value != nil || got[1].Value == nil || string(got[2].Value) != "x" {
		t.Errorf("%+v", got)
	}
	for range h.All() {
		break // must not go on
	}
}

// TestMarkerRefuses has control records that are no markers.
func TestMarkerRefuses(t *testing.T) {
	control := func(key, value []byte) Batch {
		return build(t, 2, BuilderOptions{Control: true}, Record{Key: key, Value: value})
	}
	for name, b := range map[string]Batch{
		"short key": control([]byte{0, 0, 0}, make([]byte, 6)), "no key": control(nil, make([]byte, 6)), "key version": control([]byte{255, 255, 0, 0}, make([]byte, 6)),
		"short value": control(make([]byte, 4), make([]byte, 5)), "value version": control(make([]byte, 4), []byte{255, 255, 0, 0, 0, 0}),
		"count": put32(control(make([]byte, 4), make([]byte, 6)), posCount, 2),
	} {
		_, ok, err := b.Marker()
		if name == "count" {
			continue // its first record can be read
		}
		if ok || !errors.Is(err, ErrInvalidRecord) {
			t.Errorf("%s: %v, error %v", name, ok, err)
		}
	}
	if _, ok, err := control([]byte{0, 0, 0, 2}, nil).Marker(); ok || err != nil {
		t.Errorf("a leader change is a marker (error %v)", err)
	}
	if m, ok, err := control([]byte{0, 9, 0, 0}, []byte{0, 3, 0, 0, 0, 7, 1, 2}).Marker(); !ok || err != nil || m.Commit || m.CoordinatorEpoch != 7 {
		t.Errorf("%+v, %v, %v of a later version", m, ok, err)
	}
}
