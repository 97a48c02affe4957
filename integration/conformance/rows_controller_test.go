package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

// rowsController are the rows of what is asked of the controller, which broker 1 is.
var rowsController = script{
	"AlterPartition: stale broker epoch": func(w *world) call { return call{req: alterPartition(1, w.epoch-1)} },
	"AlterPartition: not the controller": func(w *world) call { return call{to: 2, req: alterPartition(1, w.epoch)} },
	"AlterPartition: unknown broker 99":  func(w *world) call { return call{req: alterPartition(99, w.epoch)} },

	"AlterPartitionReassignments: unknown topic":                           reassign("nope", 0, 1),
	"AlterPartitionReassignments: unknown partition":                       reassign("e1", 9, 1),
	"AlterPartitionReassignments: unknown broker 9":                        reassign("e1", 0, 9),
	"AlterPartitionReassignments: broker repeated":                         reassign("e1", 0, 1, 1),
	"AlterPartitionReassignments: empty list":                              reassign("e1", 0, []int32{}...),
	"AlterPartitionReassignments: negative broker id":                      reassign("e1", 0, -1),
	"AlterPartitionReassignments: cancel with no reassignment in progress": reassign("e1", 0),
	"AlterPartitionReassignments: same replicas as now":                    reassign("e1", 0, 1),
	"AlterPartitionReassignments: not the controller": func(w *world) call {
		return call{to: 2, req: reassign("e1", 0, 1)(w).req}
	},
	"AlterPartitionReassignments: target broker 3 is dead": reassign("e1", 0, 3),
}

// reassign gives a partition other replicas; nil cancels.
func reassign(name string, partition int32, replicas ...int32) func(*world) call {
	r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	r.TimeoutMillis = 10000
	r.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{
		Topic:      name,
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition, Replicas: replicas}},
	}}
	return request(r)
}

func alterPartition(broker int32, epoch int64) *kmsg.AlterPartitionRequest {
	r := kmsg.NewPtrAlterPartitionRequest()
	r.BrokerID, r.BrokerEpoch = broker, epoch
	return r
}
