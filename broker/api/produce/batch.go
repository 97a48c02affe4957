package produce

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// batch is what one call handles: requests of one connection, in order, and their appends. It goes
// round through a pool.
type batch struct {
	h        *Handler
	now      time.Time
	verifies bool // transactions, before their first append
	jobs     []job
	appends  []planned
	together []storage.Append // those of one partition
}

// job is one request.
type job struct {
	request  *request.Request
	decoded  *wire.ProduceRequest
	response *wire.ProduceResponse
	waiting  []pending // the partitions that wait for replicas

	dropped error // why there is nothing but the request: the connection is closed for it
}

// planned is the append of a partition's records. The partition is nil once it is done.
type planned struct {
	*replica.Partition
	job     int
	at      int // place in the job's response
	records []byte
	guard   producer.Guard // of a transaction that was verified
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func acquireBatch(h *Handler) *batch {
	b := batches.Get().(*batch)
	b.h, b.now = h, h.Now()
	return b
}

// pooledAppends is the most for which a batch keeps its memory.
const pooledAppends = 1024

func (b *batch) release() {
	if cap(b.appends) > pooledAppends {
		*b = batch{}
	} else {
		clear(b.jobs)
		clear(b.appends)
		clear(b.together)
		*b = batch{jobs: b.jobs[:0], appends: b.appends[:0], together: b.together[:0]}
	}
	batches.Put(b)
}

// drop ends the connection of r, once what came before is answered.
func (b *batch) drop(r *request.Request, reason error) {
	b.jobs = append(b.jobs, job{request: r, dropped: reason})
}

// add decodes a request and plans its appends. What it is refused for is in its response; one that
// cannot be decoded is dropped, for the error returned. The error may also be why a request with acks=0 is
// refused, which ends the connection as well.
func (b *batch) add(r *request.Request) error {
	req := wire.AcquireProduceRequest()
	if err := req.Parse(r.Version, r.Body); err != nil {
		req.Release()
		b.drop(r, err)
		return err
	}
	req.KeepLast()
	if req.Transactional && !b.verifies {
		b.verifies = b.h.Verify != nil && b.h.Verifying()
	}
	j := job{request: r, decoded: req, response: wire.NewProduceResponse(r.Version)}
	refused, planned := refuseWhole(req), len(b.appends)
	if refused == nil {
		refused = b.plan(&j)
	}
	if refused != nil {
		b.appends = slices.Delete(b.appends, planned, len(b.appends))
		j.response.Recycle()
		j.response = wire.NewProduceResponse(r.Version)
		refuseAll(req, j.response, refused)
	}
	b.jobs = append(b.jobs, j)
	if b.verifies && req.Transactional && refused == nil {
		b.verify(planned)
	}
	return b.jobs[len(b.jobs)-1].failure()
}

// failure returns what is wrong with a request to which the client expects no answer: an error can only be told by
// closing the connection.
func (j *job) failure() error {
	if j.decoded.Acks != 0 {
		return nil
	}
	for i := range j.response.Len() {
		if code := j.response.At(i).ErrorCode; code != 0 {
			return fmt.Errorf("produce with acks=0 failed: %w", kerr.ErrorForCode(code))
		}
	}
	return nil
}

// plan plans the appends of the next job. Its error refuses the job as a whole.
func (b *batch) plan(j *job) error {
	var all producers
	looks := j.decoded.Transactional || j.decoded.Version < batchVersion
	for i := range j.decoded.Topics {
		t := &j.decoded.Topics[i]
		if len(t.Partitions) == 0 {
			continue // as Kafka, which answers by partition
		}
		j.response.Topic(t.Name)
		for k := range t.Partitions {
			tp, records := topic.Partition{Topic: t.Name, Index: t.Partitions[k].Index}, t.Partitions[k].Records
			out := j.response.Partition(tp.Index)
			err := b.h.accept(j.decoded, tp, records)
			if errors.Is(err, record.ErrDecompress) {
				return kerr.UnknownServerError
			}
			if err == nil && looks {
				if err := all.add(records); err != nil {
					return err
				}
			}
			var p *replica.Partition
			if err == nil {
				p, err = b.h.replica(j.request, j.decoded, tp)
			}
			if err != nil {
				b.h.fail(j.request, j.response, out, tp, err)
				continue
			}
			b.appends = append(b.appends, planned{Partition: p, job: len(b.jobs), at: j.response.Len() - 1, records: records})
		}
	}
	return all.err()
}

// run does what was planned and answers.
func (b *batch) run() {
	b.flush(len(b.jobs), len(b.appends))
	b.release()
}

// flush does the first appends, which are those of the first jobs, and answers these.
func (b *batch) flush(jobs, appends int) {
	all := b.appends
	b.appends = all[:appends] // what is behind is not to be appended with them
	for i := range b.appends {
		if b.appends[i].Partition != nil {
			b.append(i)
		}
	}
	for i := range jobs {
		b.jobs[i].finish(b.h, b.now)
	}
	b.jobs = slices.Delete(b.jobs, 0, jobs)
	b.appends = slices.Delete(all, 0, appends)
	for i := range b.appends {
		b.appends[i].job -= jobs
	}
}

// searched is how many appends are looked at for more of one partition: of most clients all.
const searched = 64

// append does the append at first, together with those behind it that go to the same partition.
func (b *batch) append(first int) {
	p, acks := b.appends[first].Partition, b.acks(first)
	var places [searched]int
	n := 0
	b.together = b.together[:0]
	for i := first; i < min(first+searched, len(b.appends)); i++ {
		a := &b.appends[i]
		if a.Partition != p {
			continue
		}
		if b.acks(i) != acks {
			break // they keep their order
		}
		b.together = append(b.together, storage.Append{
			Records: a.records, Options: storage.AppendOptions{
				Origin: record.Client, Now: b.now.UnixMilli(), VerifyTransaction: b.verifies, Guard: a.guard,
			},
		})
		places[n], n = i, n+1
	}
	p.AppendAll(b.together, acks == -1)
	if slices.ContainsFunc(b.together, func(a storage.Append) bool { return a.Err == nil }) {
		b.h.Replicas.Appended(p.Partition)
	}
	for k, i := range places[:n] {
		b.settle(&b.appends[i], &b.together[k])
		b.appends[i].Partition = nil
	}
}

func (b *batch) acks(i int) int16 { return b.jobs[b.appends[i].job].decoded.Acks }

// tellsLogStart reports whether Kafka says where the log starts when an append fails with code
// (ReplicaManager.appendToLocalLog): not where there is no log, or where the batch as a whole was not looked into.
func tellsLogStart(code int16) bool {
	switch code {
	case kerr.UnknownTopicOrPartition.Code, kerr.NotLeaderForPartition.Code, kerr.MessageTooLarge.Code,
		kerr.RecordListTooLarge.Code, kerr.CorruptMessage.Code, kerr.KafkaStorageError.Code:
		return false
	}
	return true
}

// settle writes what has become of an append into the response, or notes that it waits for replicas.
func (b *batch) settle(a *planned, done *storage.Append) {
	j, tp := &b.jobs[a.job], a.Partition.Partition
	out := j.response.At(a.at)
	if done.Err != nil {
		b.h.fail(j.request, j.response, out, tp, done.Err)
		if tellsLogStart(out.ErrorCode) {
			out.LogStartOffset = a.Log().StartOffset()
		}
		return
	}
	out.BaseOffset, out.LogAppendTime, out.LogStartOffset = done.Done.First, done.Done.AppendTime, done.Done.LogStart
	if j.decoded.Acks != -1 {
		return
	}
	required := done.Done.Last + 1
	switch committed, err := a.Committed(required); {
	case err != nil:
		b.h.fail(j.request, j.response, out, tp, err)
	case !committed:
		j.waiting = append(j.waiting, pending{Partition: tp, required: required, at: a.at})
	}
}

// finish answers the request, now or when its replicas have the records.
func (j *job) finish(h *Handler, now time.Time) {
	if j.dropped != nil {
		j.request.Drop(j.dropped)
		return
	}
	acks, timeout, failure := j.decoded.Acks, time.Duration(j.decoded.Timeout)*time.Millisecond, j.failure()
	j.decoded.Release()
	switch {
	case failure != nil:
		j.response.Recycle()
		j.request.Drop(failure)
	case acks == 0:
		j.response.Recycle()
		j.request.Reply(nil)
	case len(j.waiting) == 0:
		j.request.Reply(j.response)
	default:
		d := &delayed{handler: h, request: j.request, response: j.response, waiting: j.waiting}
		h.Replicas.Produces.Wait(d, now.Add(timeout), d.keys()...)
	}
}
