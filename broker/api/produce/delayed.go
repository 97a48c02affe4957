package produce

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// delayed is a produce with acks=all whose records are written here and not yet on every in-sync
// replica (Kafka's DelayedProduce). Partitions that failed before do not hold it up.
type delayed struct {
	handler  *Handler
	request  *request.Request
	response *wire.ProduceResponse
	waiting  []pending
}

// pending is a partition whose high watermark has to reach required.
type pending struct {
	topic.Partition
	required int64
	at       int // place in the response
}

func (d *delayed) keys() []topic.Partition {
	keys := make([]topic.Partition, len(d.waiting))
	for i := range d.waiting {
		keys[i] = d.waiting[i].Partition
	}
	return keys
}

// TryComplete implements purgatory.Operation. The replica is looked up anew each time: it may have
// been deleted, or its log directory may have failed.
func (d *delayed) TryComplete() bool {
	left := d.waiting[:0]
	for _, w := range d.waiting {
		committed := false
		p, err := d.handler.Replicas.Partition(w.Partition)
		if err == nil {
			committed, err = p.Committed(w.required)
		}
		switch {
		case err != nil:
			d.fail(w, status.Code(err))
		case !committed:
			left = append(left, w)
		}
	}
	d.waiting = left
	return len(left) == 0
}

// Finish implements purgatory.Operation.
func (d *delayed) Finish(bool) {
	for _, w := range d.waiting {
		d.fail(w, kerr.RequestTimedOut.Code)
	}
	d.request.Reply(d.response)
}

// fail sets the error of a partition. Its offsets stay, as in Kafka: the records are in the log.
func (d *delayed) fail(w pending, code int16) {
	out := d.response.At(w.at)
	out.ErrorCode = code
	d.handler.hint(d.request, d.response, out, w.Partition)
}
