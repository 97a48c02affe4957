package produce

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// identity is who sends a batch, for the broker to know one that is sent again (KIP-98). Without
// idempotence all three are -1.
type identity struct {
	producerID int64
	epoch      int16
	sequence   int32
}

var nobody = identity{producerID: -1, epoch: -1, sequence: -1}

// identify asks for a producer id.
func (s *sender) identify(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.ProducerID, req.ProducerEpoch = -1, -1
	resp, err := s.producer.client.Request(ctx, req)
	if err != nil {
		return err
	}
	got := resp.(*kmsg.InitProducerIDResponse)
	if err := throwable.FromCode(got.ErrorCode, nil); err != nil {
		return err
	}
	s.identity = identity{producerID: got.ProducerID, epoch: got.ProducerEpoch}
	return nil
}

// advance counts the records of a delivered batch. Sequences wrap around to 0.
func (s *sender) advance(b *batch) {
	if s.identity != nobody {
		s.identity.sequence = int32((int64(s.identity.sequence) + int64(b.count)) & 0x7fffffff)
	}
}

// isIdentityLost reports whether the broker does not take the sender for who it says it is.
func isIdentityLost(err error) bool {
	switch throwable.Code(err) {
	case kerr.OutOfOrderSequenceNumber.Code, kerr.UnknownProducerID.Code, kerr.InvalidProducerEpoch.Code:
		return true
	}
	return false
}
