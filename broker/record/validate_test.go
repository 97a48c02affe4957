package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

const (
	testNow  = 1_000_000
	testHour = 3_600_000
)

// put16, put32 and put64 change a field of a batch and make its checksum right.
func put32(b []byte, at int, v int32) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(v))
	return reseal(b)
}

func put64(b []byte, at int, v int64) []byte {
	binary.BigEndian.PutUint64(b[at:], uint64(v))
	return reseal(b)
}

func setBits(b []byte, bits byte) []byte {
	b[posAttributes+1] |= bits
	return reseal(b)
}

// TestValidateRefuses has a case for each rule, with Kafka's text.
func TestValidateRefuses(t *testing.T) {
	two := some(2, 10)
	plain := func() []byte { return build(t, 2, BuilderOptions{}, two...) }
	stamped := func(ts ...int64) []Record {
		var records []Record
		for _, time := range ts {
			records = append(records, Record{Timestamp: time, Key: []byte("k")})
		}
		return records
	}
	narrow := func(p *Policy) { p.BeforeMax, p.AfterMax = testHour, testHour }
	tests := []struct {
		name    string
		policy  func(*Policy)
		origin  Origin
		data    func() []byte
		want    error
		message string
		cause   Cause
		records []string // of the record errors
	}{
		{name: "base offset", data: func() []byte { return put64(plain(), 0, 5) }, want: ErrInvalidRecord,
			message: "The baseOffset of the record batch in the append to t-0 should be 0, but it is 5"},
		{name: "too large", policy: func(p *Policy) { p.MaxMessageBytes = 100 }, data: plain, want: ErrMessageTooLarge,
			message: "The record batch size in the append to t-0 is 105 bytes which exceeds the maximum configured value of 100."},
		{name: "checksum", data: func() []byte { b := plain(); b[len(b)-1]++; return b }, want: ErrCorrupt, cause: CauseChecksum,
			message: "Record is corrupt (stored crc = "},
		{name: "magic", data: func() []byte { b := plain(); b[posMagic] = 5; return b }, want: ErrCorrupt, cause: CauseMagic,
			message: "Invalid magic found in record: 5"},
		{name: "size", data: func() []byte { b := plain(); b[posSize+2], b[posSize+3] = 0, 13; return b }, want: ErrCorrupt,
			message: "Record size 13 is less than the minimum record overhead (14)"},
		{name: "size of v2", data: func() []byte { b := plain(); b[posSize+2], b[posSize+3] = 0, 48; return b }, want: ErrCorrupt,
			message: "Record batch is corrupt (the size 60 is smaller than the minimum allowed overhead 61)"},
		{name: "two batches", data: func() []byte { return append(plain(), plain()...) }, want: ErrInvalidRecord,
			message: "Compressed outer record has more than one batch"},
		{name: "two compressed messages", data: func() []byte {
			return append(build(t, 1, BuilderOptions{Codec: Gzip}, two...), build(t, 1, BuilderOptions{}, two...)...)
		}, want: ErrInvalidRecord, message: "Compressed outer record has more than one batch"},
		{name: "codec", data: func() []byte { return setBits(plain(), 7) }, want: ErrDecompress, message: "Unknown compression type id: 7"},
		{name: "offset range", data: func() []byte { return put32(plain(), posLastDelta, -1) }, want: ErrInvalidRecord, cause: CauseOffsetOrSequence,
			message: "Batch has an invalid offset range: [0, -1] in topic partition t-0"},
		{name: "count 0", data: func() []byte { return put32(plain(), posCount, 0) }, want: ErrInvalidRecord, cause: CauseOffsetOrSequence,
			message: "Invalid reported count for record batch: 0 in topic partition t-0"},
		{name: "count", data: func() []byte { return put32(plain(), posLastDelta, 5) }, want: ErrInvalidRecord, cause: CauseOffsetOrSequence,
			message: "Inconsistent batch offset range [0, 5] and count of records 2 in topic partition t-0"},
		{name: "control", data: func() []byte { return setBits(plain(), controlBit) }, want: ErrInvalidRecord, cause: CauseOffsetOrSequence,
			message: "Clients are not allowed to write control records in topic partition t-0"},
		{name: "sequence", data: func() []byte {
			return build(t, 2, BuilderOptions{Producer: &ProducerInfo{ID: 7, Sequence: -1}}, two...)
		}, want: ErrInvalidRecord, cause: CauseOffsetOrSequence,
			message: "Invalid sequence number -1 in record batch with producerId 7 in topic partition t-0"},
		{name: "fewer records", data: func() []byte { return put32(put32(plain(), posCount, 3), posLastDelta, 2) }, want: ErrInvalidRecord,
			message: "Incorrect declared batch size, premature EOF reached"},
		{name: "more records", data: func() []byte { return put32(put32(plain(), posCount, 1), posLastDelta, 0) }, want: ErrInvalidRecord,
			message: "Incorrect declared batch size, records still remaining in file"},
		{name: "no key", policy: func(p *Policy) { p.Compacted = true }, data: func() []byte {
			return build(t, 2, BuilderOptions{}, two[0], Record{Timestamp: 1}, two[1], Record{Timestamp: 2})
		}, want: ErrInvalidRecord, cause: CauseNoKey,
			message: "One or more records have been rejected due to 2 record errors in total, and only showing the first three errors at most: [" +
				"RecordError(batchIndex=1, message='Compacted topic cannot accept message without key in topic partition t-0'), " +
				"RecordError(batchIndex=3, message='Compacted topic cannot accept message without key in topic partition t-0')]",
			records: []string{"1 Compacted topic cannot accept message without key in topic partition t-0", "3 Compacted topic cannot accept message without key in topic partition t-0"}},
		{name: "too old", policy: narrow, data: func() []byte { return build(t, 2, BuilderOptions{}, stamped(testNow, testNow-testHour-1)...) },
			want: ErrInvalidTimestamp, message: "One or more records have been rejected due to invalid timestamp",
			records: []string{"1 Timestamp -2600001 of message with offset 1 is out of range. The timestamp should be within [-2600000, 4600000]"}},
		{name: "too new", policy: narrow, data: func() []byte {
			return build(t, 2, BuilderOptions{Codec: LZ4}, stamped(testNow+testHour+1, testNow+testHour)...)
		}, want: ErrInvalidTimestamp, message: "One or more records have been rejected due to invalid timestamp",
			records: []string{"0 Timestamp 4600001 of message with offset 0 is out of range. The timestamp should be within [-2600000, 4600000]"}},
		{name: "append time without timestamp", data: func() []byte {
			return build(t, 2, BuilderOptions{TimestampType: LogAppendTime, AppendTime: NoTimestamp}, stamped(NoTimestamp)...)
		}, want: ErrInvalidTimestamp, message: "One or more records have been rejected due to invalid timestamp",
			records: []string{"0 Invalid timestamp type in message DefaultRecord(offset=0, timestamp=-1, key=1 bytes, value=0 bytes). Producer should not set timestamp type to LogAppendTime."}},
		{name: "append time, compressed", policy: func(p *Policy) { p.TimestampType = LogAppendTime }, data: func() []byte {
			return build(t, 2, BuilderOptions{Codec: Gzip, TimestampType: LogAppendTime, AppendTime: 9}, stamped(5)...)
		}, want: ErrInvalidTimestamp, message: "One or more records have been rejected due to invalid timestamp",
			records: []string{"0 Invalid timestamp type in message PartialDefaultRecord(offset=0, timestamp=9, key=1 bytes, value=-1 bytes). Producer should not set timestamp type to LogAppendTime."}},
		{name: "different magic", data: func() []byte {
			return append(build(t, 1, BuilderOptions{}, two[0]), build(t, 0, BuilderOptions{}, two[0])...)
		}, want: ErrInvalidRecord, cause: CauseMagic, message: "Batch magic 0 is not the same as the first batch's magic byte 1 in topic partition t-0"},
		{name: "no key in v1", policy: func(p *Policy) { p.Compacted = true }, data: func() []byte {
			return build(t, 1, BuilderOptions{}, two[0], Record{Timestamp: 5})
		}, want: ErrInvalidRecord, cause: CauseNoKey,
			message: "One or more records have been rejected due to 1 record errors in total, and only showing the first three errors at most: [" +
				"RecordError(batchIndex=0, message='Compacted topic cannot accept message without key in topic partition t-0')]",
			records: []string{"0 Compacted topic cannot accept message without key in topic partition t-0"}},
		{name: "too old in v1", policy: func(p *Policy) { p.BeforeMax, p.AfterMax = 999_900, testHour }, data: func() []byte {
			return build(t, 1, BuilderOptions{Codec: Snappy, BaseOffset: 10}, stamped(testNow, 500, 77)...)
		}, want: ErrInvalidTimestamp, message: "One or more records have been rejected due to invalid timestamp",
			records: []string{"2 Timestamp 77 of message with offset 12 is out of range. The timestamp should be within [100, 4600000]"}},
		{name: "compressed message in a compressed one", data: func() []byte {
			return wrap(t, 1, Gzip, build(t, 1, BuilderOptions{Codec: Gzip}, two...))
		}, want: ErrInvalidRecord, message: "Inner messages must not be compressed"},
		{name: "checksum inside", data: func() []byte {
			inner := build(t, 1, BuilderOptions{}, two...)
			inner[len(inner)-1]++
			return wrap(t, 1, LZ4, inner)
		}, want: ErrCorrupt, cause: CauseChecksum, message: "Record is corrupt (stored crc = "},
		{name: "magic inside", data: func() []byte { return wrap(t, 1, LZ4, build(t, 0, BuilderOptions{}, two[0])) }, want: ErrInvalidRecord, cause: CauseMagic,
			message: "One or more records have been rejected due to 1 record errors in total",
			records: []string{"0 Record LegacyRecordBatch(offset=0, Record(magic=0, attributes=0, compression=none, crc=704094940, key=5 bytes, value=10 bytes))'s magic does not match outer magic 1 in topic partition t-0"}},
		{name: "nothing inside", data: func() []byte { return wrap(t, 1, Gzip, nil) }, want: ErrInvalidRecord,
			message: "Found invalid compressed record set with no inner records"},
		{name: "zstd in v1", data: func() []byte {
			b := build(t, 1, BuilderOptions{Codec: Gzip}, two...)
			b[posLegacyAttributes] = byte(Zstd)
			return reseal(b)
		}, want: ErrInvalidRecord, message: "Invalid wrapper compressionType found in legacy deep record iterator 1"},
		{name: "offset inside", data: func() []byte {
			return put64(build(t, 1, BuilderOptions{Codec: Gzip}, some(5, 1)...), 0, 2)
		}, want: ErrInvalidRecord, message: "Found invalid wrapper offset in compressed v1 message set, wrapper offset '2' is less than the last inner message offset '4' and it is not zero."},
		{name: "not gzip", data: func() []byte { return setBits(plain(), byte(Gzip)) }, want: ErrDecompress, message: "Failed to decompress record stream: "},
		{name: "too large when rebuilt", policy: func(p *Policy) { p.MaxMessageBytes, p.Compression = 500, None }, data: func() []byte {
			return build(t, 2, BuilderOptions{Codec: Gzip}, Record{Value: make([]byte, 1000)})
		}, want: ErrMessageTooLarge, message: "Message batch size is 1070 bytes in append topartition t-0 which exceeds the maximum configured size of 500."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := unlimited()
			if tt.policy != nil {
				tt.policy(&p)
			}
			_, err := p.Validate(tt.data(), tt.origin, testNow)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			e, _ := errors.AsType[*Error](err)
			if !strings.HasPrefix(e.Message, tt.message) {
				t.Errorf("message\n%s, want\n%s", e.Message, tt.message)
			}
			if e.Cause != tt.cause {
				t.Errorf("cause %d, want %d", e.Cause, tt.cause)
			}
			var records []string
			for _, r := range e.Records {
				records = append(records, string(rune('0'+r.Index))+" "+r.Message)
			}
			if !slices.Equal(records, tt.records) {
				t.Errorf("record errors\n%q, want\n%q", records, tt.records)
			}
		})
	}
}

// wrap makes a compressed message of format magic around any bytes.
func wrap(t testing.TB, magic int8, codec Codec, inner []byte) []byte {
	t.Helper()
	bu := NewBuilder(magic, BuilderOptions{Codec: codec})
	if _, err := bu.comp.Write(inner); err != nil {
		t.Fatal(err)
	}
	bu.count, bu.last = 1, 0
	b, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestValidateInPlace protects the rule that a batch which can stay as it is does.
func TestValidateInPlace(t *testing.T) {
	for _, codec := range allCodecs {
		records := some(7, 300)
		source := build(t, 2, BuilderOptions{Codec: codec, Producer: vectorP, Transactional: true, LeaderEpoch: -1}, records...)
		for _, compression := range []Codec{Producer, codec} {
			p := unlimited()
			p.Compression = compression
			data := bytes.Clone(source)
			v, err := p.Validate(append(data, 1, 2, 3), Client, testNow)
			if err != nil {
				t.Fatal(codec, err)
			}
			if v.Rebuilt || &v.Records[0] != &data[0] && !bytes.Equal(v.Records, data) || !bytes.Equal(v.Records, source) {
				t.Errorf("%v: records were changed", codec)
			}
			if v.Count != 7 || v.Batches != 1 || v.FirstOffset != 0 || v.LastOffset != 6 || v.MaxTimestamp != 1006 || v.MaxTimestampOffset != 6 || v.AppendTime != NoTimestamp {
				t.Errorf("%v: %+v", codec, v)
			}
			v.Assign(100, 9)
			b := Batch(v.Records)
			if b.BaseOffset() != 100 || b.LeaderEpoch() != 9 || b.Check() != nil || v.LastOffset != 106 || v.MaxTimestampOffset != 106 {
				t.Errorf("%v: Assign left %x, %+v", codec, v.Records, v)
			}
			for i, r := range mustCollect(t, v.Records) {
				records[i].Offset = 100 + int64(i)
				if !same(r, records[i]) {
					t.Errorf("%v: record %+v, want %+v", codec, r, records[i])
				}
				records[i].Offset = int64(i)
			}
		}
	}
}

// TestValidateTimestamps protects what becomes of timestamp type and largest timestamp.
func TestValidateTimestamps(t *testing.T) {
	tests := []struct {
		name          string
		topic         TimestampType
		batch         TimestampType
		header        int64 // max timestamp that the producer claims
		times         []int64
		wantMax       int64
		wantMaxOffset int64
		wantAppend    int64
	}{
		{"as it should be", CreateTime, CreateTime, 30, []int64{10, 30, 20}, 30, 2, -1},
		{"wrong claim", CreateTime, CreateTime, 99, []int64{10, 30, 20}, 30, 2, -1},
		{"none", CreateTime, CreateTime, -1, []int64{-1, -1}, -1, -1, -1},
		{"append time", LogAppendTime, CreateTime, 30, []int64{10, 30}, testNow, 1, testNow},
		{"append time claimed", CreateTime, LogAppendTime, 77, []int64{10, 30}, 77, 1, -1},
	}
	for _, tt := range tests {
		for _, codec := range allCodecs {
			for _, size := range []int{1, 40 << 10} { // on both sides of minPatch
				t.Run(tt.name, func(t *testing.T) {
					var records []Record
					for _, time := range tt.times {
						records = append(records, Record{Timestamp: time, Key: []byte("k"), Value: bytes.Repeat([]byte{byte(time)}, size)})
					}
					data := build(t, 2, BuilderOptions{Codec: codec, TimestampType: tt.batch, AppendTime: tt.header}, records...)
					data = put64(data, posMaxTime, tt.header)
					data[posAttributes] = 0x80 // unused: dropped as soon as attributes are written
					reseal(data)
					rewritten := tt.topic != tt.batch || tt.header != tt.wantMax

					p := unlimited()
					p.TimestampType = tt.topic
					v, err := p.Validate(data, Client, testNow)
					if err != nil {
						t.Fatal(err)
					}
					b := Batch(v.Records)
					if err := b.Check(); err != nil {
						t.Error(err)
					}
					wantOffset := tt.wantMaxOffset
					if codec != None {
						wantOffset = int64(len(tt.times) - 1)
					}
					if b.TimestampType() != tt.topic || b.MaxTimestamp() != tt.wantMax || v.MaxTimestamp != tt.wantMax ||
						v.MaxTimestampOffset != wantOffset || v.AppendTime != tt.wantAppend {
						t.Errorf("%v %d: %+v", b.TimestampType(), b.MaxTimestamp(), v)
					}
					if (b[posAttributes] == 0) != rewritten {
						t.Errorf("attributes rewritten: %v, want %v", b[posAttributes] == 0, rewritten)
					}
				})
			}
		}
	}
}

// TestValidateRebuilds has the cases in which records cannot stay as they are.
func TestValidateRebuilds(t *testing.T) {
	records := some(20, 500)
	for i := range records {
		records[i].Headers = vectorHeader
	}
	plain := some(20, 500)
	tests := []struct {
		name   string
		magic  int8
		from   Codec
		policy Codec
		want   Codec
	}{
		{"compress", 2, None, Zstd, Zstd}, {"compress snappy", 2, None, Snappy, Snappy}, {"decompress", 2, LZ4, None, None}, {"recompress", 2, Gzip, LZ4, LZ4},
		{"v1", 1, None, Producer, None}, {"v1 lz4", 1, LZ4, Producer, LZ4}, {"v1 snappy", 1, Snappy, Gzip, Gzip},
		{"v0", 0, None, Producer, None}, {"v0 lz4", 0, LZ4, Producer, LZ4}, {"v0 gzip", 0, Gzip, Zstd, Zstd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			input, opts := plain, BuilderOptions{Codec: tt.from}
			if tt.magic == MagicV2 {
				input, opts.Producer, opts.Transactional = records, vectorP, true
			}
			p := unlimited()
			p.Compression = tt.policy
			v, err := p.Validate(build(t, tt.magic, opts, input...), Client, testNow)
			if err != nil {
				t.Fatal(err)
			}
			b := Batch(v.Records)
			if !v.Rebuilt || b.Magic() != MagicV2 || b.Codec() != tt.want || b.Check() != nil || b.Count() != 20 || b.LastOffset() != 19 {
				t.Errorf("%+v", v)
			}
			if tt.magic == MagicV2 && (b.ProducerID() != 77 || b.BaseSequence() != 9 || !b.IsTransactional()) {
				t.Errorf("producer fields are lost: %x", v.Records[:HeaderSize])
			}
			if tt.magic < MagicV2 != (v.Converted == 20) {
				t.Errorf("%d records counted as converted", v.Converted)
			}
			want := slices.Clone(input)
			if tt.magic == MagicV0 {
				for i := range want {
					want[i].Timestamp = NoTimestamp
				}
			}
			requireSame(t, mustCollect(t, v.Records), want)
		})
	}
}

// TestValidateScattered protects that offsets inside a compressed batch are put in order, and those of
// a plain one are left alone, as by Kafka.
func TestValidateScattered(t *testing.T) {
	for _, codec := range allCodecs {
		bu := NewBuilder(2, BuilderOptions{Codec: codec})
		for _, offset := range []int64{0, 2, 5} {
			if err := bu.AppendAt(Record{Offset: offset, Key: []byte("k")}); err != nil {
				t.Fatal(err)
			}
		}
		data, err := bu.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		p := unlimited()
		v, err := p.Validate(put32(data, posLastDelta, 2), Client, testNow)
		if err != nil {
			t.Fatal(err)
		}
		var offsets []int64
		for _, r := range mustCollect(t, v.Records) {
			offsets = append(offsets, r.Offset)
		}
		want := []int64{0, 1, 2}
		if codec == None {
			want = []int64{0, 2, 5}
		}
		if !slices.Equal(offsets, want) || v.Rebuilt != (codec != None) || v.Count != 3 {
			t.Errorf("%v: offsets %v, %+v", codec, offsets, v)
		}
	}
}

func TestValidateNothing(t *testing.T) {
	p := unlimited()
	b := build(t, 2, BuilderOptions{}, some(1, 10)...)
	for _, data := range [][]byte{nil, b[:5], b[:30], b[:len(b)-1]} {
		v, err := p.Validate(data, Client, testNow)
		if err != nil || v.Batches != 0 || len(v.Records) != 0 || v.LastOffset != -1 {
			t.Errorf("%d bytes: %+v, error %v", len(data), v, err)
		}
	}
}

func TestValidateCoordinator(t *testing.T) {
	marker := AppendMarker(nil, MarkerOptions{ProducerID: 1, BaseOffset: 99})
	p := unlimited()
	p.Compression = Gzip // markers stay uncompressed
	v, err := p.Validate(bytes.Clone(marker), Coordinator, testNow)
	if err != nil || v.Rebuilt || Batch(v.Records).BaseOffset() != 0 {
		t.Errorf("%+v, error %v", v, err)
	}
}

// TestValidateBounds protects against record errors without end and records beyond all bounds.
func TestValidateBounds(t *testing.T) {
	p := unlimited()
	p.Compacted = true
	bu := NewBuilder(2, BuilderOptions{Codec: Zstd})
	for range 3 * MaxRecordErrors {
		if err := bu.Append(Record{}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Validate(data, Client, testNow)
	e, _ := errors.AsType[*Error](err)
	if len(e.Records) != MaxRecordErrors || e.Marks != 3*MaxRecordErrors || !strings.Contains(e.Message, "due to 49152 record errors") {
		t.Errorf("%d errors listed, %d counted: %.80s", len(e.Records), e.Marks, e.Message)
	}
}

func TestCheckReplicated(t *testing.T) {
	batch := func(base int64, opts BuilderOptions) []byte {
		opts.BaseOffset = base
		return build(t, 2, opts, some(3, 10)...)
	}
	good := slices.Concat(batch(5, BuilderOptions{LeaderEpoch: 3}), batch(10, BuilderOptions{Codec: LZ4}), build(t, 1, BuilderOptions{BaseOffset: 20}, some(2, 5)...))
	v, err := CheckReplicated(append(bytes.Clone(good), batch(30, BuilderOptions{})[:70]...))
	if err != nil || !bytes.Equal(v.Records, good) || v.Batches != 4 || v.Count != 8 || v.FirstOffset != 5 || v.LastOffset != 21 || v.MaxTimestamp != 1002 || v.MaxTimestampOffset != 7 {
		t.Errorf("%+v, error %v", v, err)
	}
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"checksum", func() []byte { b := batch(0, BuilderOptions{}); b[70]++; return b }(), ErrCorrupt},
		{"same offset", slices.Concat(batch(5, BuilderOptions{}), batch(7, BuilderOptions{})), ErrOffsetsOutOfOrder},
		{"back", slices.Concat(batch(5, BuilderOptions{}), batch(1, BuilderOptions{})), ErrOffsetsOutOfOrder},
		{"negative", batch(-5, BuilderOptions{}), ErrCorrupt},
		{"no range", put32(batch(5, BuilderOptions{}), posLastDelta, -1), ErrCorrupt},
		{"overflow", put64(batch(0, BuilderOptions{}), 0, math.MaxInt64-1), ErrCorrupt},
	}
	for _, tt := range tests {
		if _, err := CheckReplicated(tt.data); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}
