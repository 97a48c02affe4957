package history

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/record"
)

// Replica is one broker's log of a partition.
type Replica struct {
	Broker    int32
	Partition Partition
	Runs      []Run
	Batches   []Batch // none if the records were read by a client
	Next      int64   // the end of the log, which may lie above the last record that compaction has left
}

// Batch is what two replicas must have in common.
type Batch struct {
	Offset int64 // of the first record
	Epoch  int32 // of the leader that took it
	Sum    [sha256.Size]byte
}

// End returns the end of the log.
func (r *Replica) End() int64 {
	if len(r.Runs) == 0 {
		return r.Next
	}
	last := r.Runs[len(r.Runs)-1]
	return max(last.Offset+int64(last.Count), r.Next)
}

// Read reads a replica from a broker's log directory. The broker may run, if nothing is appended.
func Read(broker int32, logDir string, p Partition) (Replica, error) {
	r := Replica{Broker: broker, Partition: p}
	dir := filepath.Join(logDir, p.String())
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err == nil && len(names) == 0 {
		err = errors.New("no segments")
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", dir, err)
	}
	slices.Sort(names)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return r, err
		}
		base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".log"), 10, 64)
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		r.Next = base
		if err := r.segment(data); err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

// segment appends what a segment holds.
func (r *Replica) segment(data []byte) error {
	for len(data) > 0 {
		batch, rest, err := record.Next(data)
		if err == nil {
			err = batch.Check()
		}
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", len(data), err)
		}
		data = rest
		r.Next = batch.NextOffset()
		r.Batches = append(r.Batches, Batch{batch.BaseOffset(), batch.LeaderEpoch(), sha256.Sum256(batch)})
		if batch.IsControl() {
			return fmt.Errorf("a control batch at offset %d", batch.BaseOffset())
		}
		for rec, err := range batch.Records() {
			if err == nil {
				err = r.record(rec)
			}
			if err != nil {
				return fmt.Errorf("batch at offset %d: %w", batch.BaseOffset(), err)
			}
		}
	}
	return nil
}

func (r *Replica) record(rec record.Record) error {
	p, id, err := ParseStored(rec)
	if err != nil {
		return err
	}
	if p != r.Partition {
		return fmt.Errorf("a record of %v at offset %d", p, rec.Offset)
	}
	r.Runs = AppendRun(r.Runs, id, rec.Offset)
	return nil
}
