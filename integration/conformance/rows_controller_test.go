package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

// rowsController are the rows of what is asked of the controller, which broker 1 is.
var rowsController = script{
	"AlterPartition: stale broker epoch": func(w *world) call { return call{req: alterPartition(1, w.epoch-1)} },
	"AlterPartition: not the controller": func(w *world) call { return call{to: 2, req: alterPartition(1, w.epoch)} },
	"AlterPartition: unknown broker 99":  func(w *world) call { return call{req: alterPartition(99, w.epoch)} },
}

func alterPartition(broker int32, epoch int64) *kmsg.AlterPartitionRequest {
	r := kmsg.NewPtrAlterPartitionRequest()
	r.BrokerID, r.BrokerEpoch = broker, epoch
	return r
}
