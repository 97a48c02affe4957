package compact

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
)

// kv is a record to write: a value of "-" is a tombstone.
type kv struct {
	offset     int64
	key, value string
}

// batchOf builds a batch of records.
func batchOf(t testing.TB, opts record.BuilderOptions, records ...kv) []byte {
	t.Helper()
	opts.BaseOffset = records[0].offset
	bu := record.NewBuilder(record.MagicV2, opts)
	for _, r := range records {
		rec := record.Record{Offset: r.offset, Timestamp: 1000 + r.offset, Key: []byte(r.key), Value: []byte(r.value)}
		if r.key == "" {
			rec.Key = nil
		}
		if r.value == "-" {
			rec.Value = nil
		}
		if err := bu.AppendAt(rec); err != nil {
			t.Fatal(err)
		}
	}
	b, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// indexed returns a map of all of log.
func indexed(t testing.TB, log []byte) *OffsetMap {
	t.Helper()
	m := NewOffsetMap(1<<20, 0.9)
	n, full, err := NewIndex(m, 0, nil, new(Stats)).Add(log)
	if err != nil || full || n != len(log) {
		t.Fatalf("index: %d of %d bytes, full %v, %v", n, len(log), full, err)
	}
	return m
}

// split returns the batches of data.
func split(t testing.TB, data []byte) (batches []record.Batch) {
	for len(data) > 0 {
		b, rest, err := record.Next(data)
		if err != nil {
			t.Fatal(err)
		}
		batches, data = append(batches, b), rest
	}
	return batches
}
