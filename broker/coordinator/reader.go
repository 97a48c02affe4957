package coordinator

import (
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/record"
)

// reader reads a log's batches into a group.Loading.
type reader struct {
	coordinator *Coordinator
	partition   *partition
	loading     *group.Loading
	now         time.Time
	records     int
	inPlace     record.InPlace
}

// chunk takes in whole batches.
func (r *reader) chunk(batches []byte) error {
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		if err != nil {
			return err
		}
		if err := r.batch(b); err != nil {
			return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
		}
		batches = rest
	}
	return nil
}

func (r *reader) batch(b record.Batch) error {
	if b.IsControl() {
		m, ok, err := b.Marker()
		if ok {
			r.loading.EndTransaction(b.ProducerID(), m.Commit)
		}
		return err
	}
	at := group.Place{Batch: -1, ProducerID: b.ProducerID(), Transactional: b.IsTransactional()}
	if b.IsInPlace() {
		for r.inPlace.Open(b); r.inPlace.Next(); {
			r.record(&r.inPlace.Record, &at)
		}
		return r.inPlace.Err()
	}
	for rec, err := range b.Records() {
		if err != nil {
			return err
		}
		r.record(&rec, &at)
	}
	return nil
}

// record takes in a record of the batch at at, which gets the offset of the first one.
func (r *reader) record(rec *record.Record, at *group.Place) {
	if at.Batch < 0 {
		at.Batch = rec.Offset
	}
	r.records++
	// What cannot be understood is left out. Kafka gives the whole partition up, and serves it as if it were empty.
	if err := r.loading.Add(rec.Key, rec.Value, at, r.now); err != nil {
		level := r.coordinator.opts.Logger.WithField("partition", r.partition.Index).WithField("offset", rec.Offset)
		level.WithError(err).Warn("a record is left out while loading groups")
	}
}
