package fetch

import (
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/wire"
)

// read reads every target within the limits, in order, and reports whether the result must be
// answered now: it holds enough, an error, or something the client has to know at once. Partitions
// that the cluster does not have, and records that the client could not read, hurry nobody: else a
// consumer of them would ask again and again.
func (p *plan) read(h *Handler) bool {
	left, total, urgent, waits := p.maxBytes, 0, false, false
	for i := range p.targets {
		t := &p.targets[i]
		if t.refused != nil {
			t.result, t.err = replica.FailedRead(), t.refused
			continue
		}
		waits = true
		t.options.MaxBytes = min(t.limit, left)
		t.options.MinOneBatch = !p.hardLimit && total == 0
		var local *replica.Partition
		local, t.err = h.Replicas.Partition(t.topicPartition())
		t.result = p.readOne(local, t)
		urgent = urgent || t.err != nil || t.result.Diverged || t.nearest != replica.NoReplica
		n := t.found()
		total += n
		left = max(0, left-n)
	}
	return urgent || !waits || total >= p.minBytes
}

// readOne reads t from local, unless t has failed already.
func (p *plan) readOne(local *replica.Partition, t *target) (res replica.ReadResult) {
	if t.err != nil {
		return replica.FailedRead()
	}
	if p.near != nil {
		if t.nearest, res, t.err = local.Nearest(&t.options, p.near); t.err != nil || t.nearest != replica.NoReplica {
			return res
		}
	}
	res, t.err = local.Read(&t.options)
	if t.err == nil && res.Incomplete && !p.hardLimit && res.Section != nil {
		res.Section.Release() // part of a batch that does not fit: the client asks again
		res.Section = nil
	}
	if res.Section != nil && p.throttles(local) {
		res.Section.Release()
		res.Section = nil
	}
	return res
}

// throttles reports whether the records of a partition are held back from the follower that fetches. One in
// the ISR is never throttled: it would fall out.
func (p *plan) throttles(local *replica.Partition) bool {
	throttle := p.handler.Throttle
	return p.replicaID >= 0 && throttle.Throttled(local.Partition) && !local.InSync(p.replicaID) && throttle.Exceeded(p.handler.Now())
}

// recordThrottled counts what a follower is about to be sent of throttled partitions, in sync or not: that part of the answer,
// not its records alone (KafkaApis.sizeOfThrottledPartitions).
func (p *plan) recordThrottled(resp *wire.FetchResponse) {
	if throttle := p.handler.Throttle; p.replicaID >= 0 && throttle.Any() {
		throttle.Record(resp.SizeOf(throttle.Throttled), p.handler.Now())
	}
}

// size returns the bytes of records that were read.
func (t *target) size() int {
	if t.result.Section != nil {
		return int(t.result.Section.Size())
	}
	return 0
}

// found returns the bytes that count against the limits and towards min bytes, which is what Kafka would
// send: up to the limit, be that within a batch. Else a client whose limit is below its min bytes and a
// batch would wait.
func (t *target) found() int {
	if t.result.Section == nil {
		return 0
	}
	return int(t.result.Found)
}

// release gives back the section that was read.
func (t *target) release() {
	if t.result.Section != nil {
		t.result.Section.Release()
		t.result.Section = nil
	}
}

// release gives back what was read.
func (p *plan) release() {
	for i := range p.targets {
		t := &p.targets[i]
		t.release()
		t.result, t.err = replica.ReadResult{}, nil
	}
}

// available reports whether reading the plan again would yield an answer: enough bytes, or news of
// another kind (DelayedFetch.tryComplete).
func (p *plan) available() bool {
	total := int64(0)
	for i := range p.targets {
		t := &p.targets[i]
		if t.refused != nil {
			continue
		}
		local, err := p.handler.Replicas.Partition(t.topicPartition())
		if err != nil {
			return true
		}
		t.options.MaxBytes = min(t.limit, p.maxBytes)
		n, err := local.Available(&t.options)
		if err != nil {
			return true
		}
		if n > 0 && p.throttles(local) {
			continue
		}
		if total += n; total >= int64(p.minBytes) {
			return true
		}
	}
	return total >= int64(p.minBytes)
}

// delayed is a plan that waits for records.
type delayed plan

// TryComplete implements purgatory.Operation.
func (d *delayed) TryComplete() bool { return (*plan)(d).available() }

// Finish implements purgatory.Operation. The reading is left to a goroutine of its own, because
// whoever appended the records must not wait for this client's socket.
func (d *delayed) Finish(bool) {
	p := (*plan)(d)
	h := p.handler
	for i := range p.targets {
		p.targets[i].options.Again = true
	}
	h.wg.Go(func() {
		p.read(h)
		p.reply(h)
	})
}

// failure logs what is the broker's fault.
func (p *plan) failure(t *target, err error) {
	if status.Unexpected(err) {
		p.handler.Logger.WithField("topic", t.name).WithField("partition", t.index).WithError(err).Error("fetch failed")
	}
}
