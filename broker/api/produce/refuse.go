package produce

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Before it appends anything, Kafka looks through a request three times. What it does not like then it tells of every
// partition, and appends none:
//
//  1. refuseWhole: at the first batch of each partition, up to one that is transactional;
//  2. accept: at the codec of the first batch of each partition that there is, in versions 3 to 6;
//  3. producers: at all batches that are to be appended.

// refuseWhole returns why a request is refused before its partitions are looked for, nil if it is not: a batch whose header
// makes no sense, or a transactional one in a request that names no transaction (RequestUtils.hasTransactionalRecords).
func refuseWhole(req *wire.ProduceRequest) error {
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			b, _, err := record.Next(req.Topics[i].Partitions[j].Records)
			switch {
			case errors.Is(err, record.ErrShort):
			case err != nil:
				return corrupt(err)
			case b.IsTransactional() && req.Transactional:
				return nil // Kafka looks no further
			case b.IsTransactional():
				return kerr.TransactionalIDAuthorizationFailed
			}
		}
	}
	return nil
}

// corrupt is the refusal of a request with a batch whose header makes no sense.
func corrupt(err error) error { return status.New(kerr.CorruptMessage, err.Error()) }

// accept returns why the records of one partition are refused whatever its leader is. An error that wraps
// record.ErrDecompress is of a codec that there is not, and refuses the whole request.
func (h *Handler) accept(req *wire.ProduceRequest, tp topic.Partition, records []byte) error {
	if h.Metadata.Load().Partition(tp) == nil {
		return replica.ErrUnknownPartition
	}
	return record.CheckRequest(req.Version, records)
}

// producers are those of the transactional batches that a request brings (ReplicaManager.handleProduceAppend).
type producers struct {
	id             int64
	epoch          int16
	found, several bool
}

// add looks through the batches that are to be appended to one partition. Its error, of a header that makes no sense,
// refuses the whole request; from version 3 on CheckRequest has refused these records before.
func (p *producers) add(records []byte) error {
	for {
		b, rest, err := record.Next(records)
		switch {
		case errors.Is(err, record.ErrShort):
			return nil
		case err != nil:
			return corrupt(err)
		case b.IsTransactional() && b.HasProducerID():
			id, epoch := b.ProducerID(), b.ProducerEpoch()
			p.several = p.several || p.found && (id != p.id || epoch != p.epoch)
			p.id, p.epoch, p.found = id, epoch, true
		}
		records = rest
	}
}

// err returns why the whole request is refused, nil if all is of one producer.
func (p *producers) err() error {
	if p.several {
		return status.New(kerr.InvalidProducerIDMapping, "Transactional records contained more than one producer ID")
	}
	return nil
}

// refuseAll writes err into the answer for every partition.
func refuseAll(req *wire.ProduceRequest, resp *wire.ProduceResponse, err error) {
	code, message := status.Code(err), status.Message(err)
	for i := range req.Topics {
		if len(req.Topics[i].Partitions) == 0 {
			continue
		}
		resp.Topic(req.Topics[i].Name)
		for j := range req.Topics[i].Partitions {
			out := resp.Partition(req.Topics[i].Partitions[j].Index)
			if out.ErrorCode = code; message != nil {
				out.ErrorMessage = *message
			}
		}
	}
}
