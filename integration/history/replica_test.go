package history

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
)

// batch is records of producer 1 from sequence on.
func batch(t *testing.T, p Partition, offset int64, sequence, count int32) []byte {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{BaseOffset: offset, LeaderEpoch: 4})
	for i := range count {
		if err := b.Append(record.Record{Timestamp: 1, Value: Value(p, ID{1, sequence + i}, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, batches ...[]byte) {
		t.Helper()
		path := filepath.Join(dir, "orders-0", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, slices.Concat(batches...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(1, dir, orders); err == nil {
		t.Error("a partition that is not there was read")
	}
	write("00000000000000000003.log", batch(t, orders, 3, 3, 1), batch(t, orders, 4, 7, 1))
	write("00000000000000000000.log", batch(t, orders, 0, 0, 3))
	r, err := Read(1, dir, orders)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Run{run(1, 0, 4, 0), run(1, 7, 1, 4)}; !slices.Equal(r.Runs, want) || r.End() != 5 {
		t.Errorf("runs %v up to %d, want %v", r.Runs, r.End(), want)
	}
	if len(r.Batches) != 3 || r.Batches[1].Offset != 3 || r.Batches[1].Epoch != 4 || r.Batches[1].Sum == r.Batches[2].Sum {
		t.Errorf("batches %v", r.Batches)
	}

	torn := batch(t, orders, 5, 8, 1)
	write("00000000000000000005.log", torn[:len(torn)-1])
	if _, err := Read(1, dir, orders); err == nil {
		t.Error("a torn batch was read")
	}
	torn[len(torn)-1] ^= 1
	write("00000000000000000005.log", torn)
	if _, err := Read(1, dir, orders); err == nil {
		t.Error("a batch with a wrong checksum was read")
	}
	write("00000000000000000005.log", batch(t, Partition{"orders", 1}, 5, 8, 1))
	if _, err := Read(1, dir, orders); err == nil {
		t.Error("another partition's record was read")
	}
}
