package main

import (
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// What bare programs cost says nothing of replication unless each of them has all.
func TestBareProgramsKeepThreeCopies(t *testing.T) {
	b := &bench{options: options{acks: -1}, work: t.TempDir()}
	f, err := b.newTrio(t.Context(), report.Bare)
	defer f.kill()
	if err != nil {
		t.Fatal(err)
	}
	for partitions := 1; partitions <= 3; partitions++ {
		limit := load.Limit{Time: time.Minute, Bytes: 6 << 20}
		r, cpu, err := f.produce(t.Context(), partitions, load.Spec{RecordBytes: 1024, BatchBytes: 64 << 10}, limit)
		if err != nil {
			t.Fatalf("%d partitions: %v\n%s", partitions, err, f.Log())
		}
		if r.Bytes < limit.Bytes || cpu <= 0 {
			t.Errorf("%d partitions: %d bytes in %v", partitions, r.Bytes, cpu)
		}
		for _, m := range f.members {
			if kept, err := m.Kept(); kept != 0 || err != nil {
				t.Errorf("%d partitions: program %d has %d bytes still, %v", partitions, m.ID(), kept, err)
			}
		}
	}
	_, _, err = f.fresh(t.Context(), 1, func([]string) (load.Result, error) { return load.Result{Bytes: 1}, nil })
	if err == nil {
		t.Error("a record that nobody has is not missed")
	}
}
