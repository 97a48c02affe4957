package control

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Controller is what brokers ask of the controller. It answers each request once, on any goroutine; when this
// broker is not the controller, with NOT_CONTROLLER.
type Controller interface {
	AlterPartition(req *kmsg.AlterPartitionRequest, answer func(*kmsg.AlterPartitionResponse))
	AllocateProducerIDs(req *kmsg.AllocateProducerIDsRequest, answer func(*kmsg.AllocateProducerIDsResponse))
}

// Asked serves what brokers ask of the controller. Its requests wait for the controller without holding a
// goroutine, and not among those of clients, which may wait for what these bring about.
type Asked struct {
	Controller func() Controller // once requests come

	waiting atomic.Int32
}

// askedMax bounds the requests that wait. A broker has one of each kind out at a time; whoever sends more is
// answered at once that this is not the controller, upon which a broker tries again.
const askedMax = 2000

// enter reports whether one more request may wait; leave is its end.
func (h *Asked) enter() bool {
	if h.waiting.Add(1) > askedMax {
		h.leave()
		return false
	}
	return true
}

func (h *Asked) leave() { h.waiting.Add(-1) }

// AlterPartition changes ISRs for their leader, versions 0 to 3.
func (h *Asked) AlterPartition(r *request.Request) {
	req := kmsg.NewPtrAlterPartitionRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	if !h.enter() {
		resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
		resp.ErrorCode = kerr.NotController.Code
		r.Reply(resp)
		return
	}
	h.Controller().AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) {
		h.leave()
		r.Reply(resp)
	})
}

// AllocateProducerIDs gives a broker a block of producer ids, version 0.
func (h *Asked) AllocateProducerIDs(r *request.Request) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	if !h.enter() {
		resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
		resp.ErrorCode = kerr.NotController.Code
		r.Reply(resp)
		return
	}
	h.Controller().AllocateProducerIDs(req, func(resp *kmsg.AllocateProducerIDsResponse) {
		h.leave()
		r.Reply(resp)
	})
}
