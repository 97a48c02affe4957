package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

// AllocateProducerIDs gives a broker a block of producer ids (KIP-730, KafkaController.processAllocateProducerIds).
// answer is called once, on any goroutine, and must not block.
//
// The block comes from the znode from which Gregor's brokers take theirs themselves, as Kafka's before 3.0 do, and
// on the same condition, so that all of them can do so at once. A lost answer costs a block.
func (c *Controller) AllocateProducerIDs(req *kmsg.AllocateProducerIDsRequest, answer func(*kmsg.AllocateProducerIDsResponse)) {
	c.ask(fmt.Sprintf("AllocateProducerIds(%d)", req.BrokerID), func(ctx context.Context, core *core) error {
		resp, err := core.allocateProducerIDs(ctx, req)
		if err == nil {
			answer(resp)
		}
		return err
	}, func(err error) {
		resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		if errors.Is(err, ErrNotActive) {
			resp.ErrorCode = kerr.NotController.Code
		}
		answer(resp)
	})
}

func (c *core) allocateProducerIDs(ctx context.Context, req *kmsg.AllocateProducerIDsRequest) (*kmsg.AllocateProducerIDsResponse, error) {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	b := c.registration(req.BrokerID) // one that asks is not dead
	switch {
	case b == nil:
		c.log.WithField("broker", req.BrokerID).Warn("Ignoring AllocateProducerIds due to unknown broker")
		resp.ErrorCode = kerr.BrokerIDNotRegistered.Code
		return resp, nil
	case b.Epoch != req.BrokerEpoch:
		c.log.WithField("broker", req.BrokerID).Warnf("Ignoring AllocateProducerIds due to stale broker epoch %d", req.BrokerEpoch)
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp, nil
	}
	block, err := c.takeProducerIDs(ctx, req.BrokerID)
	if err != nil {
		return nil, err
	}
	c.log.WithField("broker", req.BrokerID).Infof("Allocated producer ids from %d to %d", block.First, block.Last)
	resp.ProducerIDStart, resp.ProducerIDLen = block.First, zkutil.ProducerIDBlockSize
	return resp, nil
}
