package control

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Shutdown has the controller, if it is this broker, make ready for the end of a broker, and returns what that
// broker still leads.
type Shutdown func(ctx context.Context, broker int32, epoch int64) ([]topic.Partition, error)

// Shutdowns serves ControlledShutdown, versions 0 to 3. All fields are required.
type Shutdowns struct {
	Shutdown Shutdown
	Context  context.Context // ends when the broker stops, and waiting with it
}

// ControlledShutdown hands over what a broker leads, because it is about to stop.
func (h *Shutdowns) ControlledShutdown(r *request.Request) {
	req := kmsg.NewPtrControlledShutdownRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	epoch := req.BrokerEpoch
	if req.Version < 2 {
		epoch = -1
	}
	resp := req.ResponseKind().(*kmsg.ControlledShutdownResponse)
	remaining, err := h.Shutdown(h.Context, req.BrokerID, epoch)
	resp.ErrorCode = status.Code(err)
	for _, p := range remaining {
		left := kmsg.NewControlledShutdownResponsePartitionsRemaining()
		left.Topic, left.Partition = p.Topic, p.Index
		resp.PartitionsRemaining = append(resp.PartitionsRemaining, left)
	}
	r.Reply(resp)
}
