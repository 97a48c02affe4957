package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

// rowsController are the rows of what is asked of the controller, which broker 1 is, and of what it orders.
var rowsController = script{
	"ElectLeaders: preferred leader is leader already": request(electLeaders(0, part("second", 0))),
	"ElectLeaders: unknown topic":                      request(electLeaders(0, part("nope", 0))),
	"ElectLeaders: unknown partition":                  request(electLeaders(0, part("e1", 9))),
	"ElectLeaders: election type 7":                    request(electLeaders(7, part("e1", 0))),
	"ElectLeaders: unclean election, leader alive":     request(electLeaders(1, part("e1", 0))),
	"ElectLeaders: not the controller":                 func(*world) call { return call{to: 2, req: electLeaders(0, part("e1", 0))} },
	"ElectLeaders: preferred leader 3 is dead":         request(electLeaders(0, part("three", 0))),
	"ElectLeaders: unclean, no replica alive":          request(electLeaders(1, part("p4", 2))),

	"UpdateFeatures: unknown feature":                     request(updateFeatures(featureUpdate("no.such", 1))),
	"UpdateFeatures: unknown feature, not the controller": func(*world) call { return call{to: 2, req: updateFeatures(featureUpdate("no.such", 1))} },
	"UpdateFeatures: no updates":                          request(updateFeatures()),
	"UpdateFeatures: empty feature name":                  request(updateFeatures(featureUpdate("", 1))),
	"UpdateFeatures: metadata.version to level 0":         request(updateFeatures(featureUpdate("metadata.version", 0))),

	"AllocateProducerIds: stale broker epoch": func(w *world) call { return call{req: allocateProducerIDs(1, w.epoch-1)} },
	"AllocateProducerIds: not the controller": func(w *world) call { return call{to: 2, req: allocateProducerIDs(1, w.epoch)} },
	"AllocateProducerIds: unknown broker 99":  func(w *world) call { return call{req: allocateProducerIDs(99, w.epoch)} },

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

	"ControlledShutdown: unknown broker":                request(controlledShutdown(99)),
	"ControlledShutdown: unknown broker, with an epoch": request(&kmsg.ControlledShutdownRequest{BrokerID: 99, BrokerEpoch: 7}),

	"LeaderAndIsr: stale controller epoch 0": func(w *world) call { return leaderAndISR(0, w.epoch) },
	"LeaderAndIsr: stale broker epoch":       func(w *world) call { return leaderAndISR(w.controller, w.epoch-1) },
	"LeaderAndIsr: broker epoch -2":          func(w *world) call { return leaderAndISR(w.controller, -2) },
	"StopReplica: stale controller epoch 0": func(w *world) call {
		return call{frame: stopReplica(w, 0), means: withVersion(kmsg.NewPtrStopReplicaRequest(), 4)}
	},
	"UpdateMetadata: stale controller epoch 0": func(w *world) call { return updateMetadata(0, w.epoch) },
	"UpdateMetadata: stale broker epoch":       func(w *world) call { return updateMetadata(w.controller, w.epoch-1) },
	"UpdateMetadata: broker epoch -2":          func(w *world) call { return updateMetadata(w.controller, -2) },
}

func leaderAndISR(controllerEpoch int32, brokerEpoch int64) call {
	r := kmsg.NewPtrLeaderAndISRRequest()
	r.ControllerID, r.ControllerEpoch, r.BrokerEpoch = 1, controllerEpoch, brokerEpoch
	return call{req: r}
}

func updateMetadata(controllerEpoch int32, brokerEpoch int64) call {
	r := kmsg.NewPtrUpdateMetadataRequest()
	r.ControllerID, r.ControllerEpoch, r.BrokerEpoch = 1, controllerEpoch, brokerEpoch
	return call{req: r}
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

func electLeaders(kind int8, ps ...partOf) *kmsg.ElectLeadersRequest {
	r := kmsg.NewPtrElectLeadersRequest()
	r.ElectionType, r.TimeoutMillis = kind, 20_000
	for _, p := range ps {
		r.Topics = append(r.Topics, kmsg.ElectLeadersRequestTopic{Topic: p.topic, Partitions: []int32{p.partition}})
	}
	return r
}

func featureUpdate(name string, level int16) kmsg.UpdateFeaturesRequestFeatureUpdate {
	return kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: name, MaxVersionLevel: level, UpgradeType: 1}
}

func updateFeatures(updates ...kmsg.UpdateFeaturesRequestFeatureUpdate) *kmsg.UpdateFeaturesRequest {
	r := kmsg.NewPtrUpdateFeaturesRequest()
	r.FeatureUpdates = updates
	return r
}

func allocateProducerIDs(broker int32, epoch int64) *kmsg.AllocateProducerIDsRequest {
	r := kmsg.NewPtrAllocateProducerIDsRequest()
	r.BrokerID, r.BrokerEpoch = broker, epoch
	return r
}
