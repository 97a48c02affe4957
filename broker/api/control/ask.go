package control

import (
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

// Asked serves what brokers ask of the controller.
type Asked struct {
	Controller func() Controller // once requests come
}

// AlterPartition changes ISRs for their leader, versions 0 to 3.
func (h *Asked) AlterPartition(r *request.Request) {
	req := kmsg.NewPtrAlterPartitionRequest()
	if err := wire.Decode(r, req); err != nil {
		r.Drop(err)
		return
	}
	h.Controller().AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) { r.Reply(resp) })
}

// AllocateProducerIDs gives a broker a block of producer ids, version 0.
func (h *Asked) AllocateProducerIDs(r *request.Request) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	if err := wire.Decode(r, req); err != nil {
		r.Drop(err)
		return
	}
	h.Controller().AllocateProducerIDs(req, func(resp *kmsg.AllocateProducerIDsResponse) { r.Reply(resp) })
}
