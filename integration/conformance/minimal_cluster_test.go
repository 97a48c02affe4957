package conformance

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// minimalOfCluster is minimalOf for the APIs with which a cluster is administered, and those that its
// brokers ask the controller with.
func (s *single) minimalOfCluster(api string) kmsg.Request {
	switch api {
	case "AlterConfigs":
		return s.alterConfigs()
	case "IncrementalAlterConfigs":
		return s.incrementalAlterConfigs()
	case "ElectLeaders":
		r := kmsg.NewPtrElectLeadersRequest()
		r.TimeoutMillis = 20_000 // of all partitions: those that need none are not mentioned
		return r
	case "AlterPartitionReassignments":
		r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		r.TimeoutMillis = 20_000
		return r
	case "ListPartitionReassignments":
		r := kmsg.NewPtrListPartitionReassignmentsRequest()
		r.TimeoutMillis = 20_000
		return r
	case "AlterPartition":
		return s.alterPartition(s.existing())
	case "AllocateProducerIds":
		r := kmsg.NewPtrAllocateProducerIDsRequest()
		r.BrokerID, r.BrokerEpoch = 1, s.epoch
		return r
	case "UpdateFeatures":
		r := kmsg.NewPtrUpdateFeaturesRequest()
		r.TimeoutMillis = 20_000
		return r
	case "DescribeLogDirs":
		return kmsg.NewPtrDescribeLogDirsRequest()
	case "AlterReplicaLogDirs":
		return kmsg.NewPtrAlterReplicaLogDirsRequest()
	}
	return nil
}

func (s *single) alterConfigs() *kmsg.AlterConfigsRequest {
	value := "60000"
	c := kmsg.NewAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "retention.ms", &value
	t := kmsg.NewAlterConfigsRequestResource()
	t.ResourceType, t.ResourceName = kmsg.ConfigResourceTypeTopic, s.existing()
	t.Configs = append(t.Configs, c)
	r := kmsg.NewPtrAlterConfigsRequest()
	r.Resources = append(r.Resources, t)
	return r
}

func (s *single) incrementalAlterConfigs() *kmsg.IncrementalAlterConfigsRequest {
	value := "60000"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "retention.ms", &value
	t := kmsg.NewIncrementalAlterConfigsRequestResource()
	t.ResourceType, t.ResourceName = kmsg.ConfigResourceTypeTopic, s.existing()
	t.Configs = append(t.Configs, c)
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r.Resources = append(r.Resources, t)
	return r
}

// alterPartition asks for the ISR that the partition has.
func (s *single) alterPartition(topic string) *kmsg.AlterPartitionRequest {
	p := kmsg.NewAlterPartitionRequestTopicPartition()
	p.NewISR = []int32{1}
	member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
	member.BrokerID, member.BrokerEpoch = 1, s.epoch
	p.NewEpochISR = append(p.NewEpochISR, member)
	t := kmsg.NewAlterPartitionRequestTopic()
	t.Topic, t.TopicID = topic, s.idOf(topic)
	t.Partitions = append(t.Partitions, p)
	r := kmsg.NewPtrAlterPartitionRequest()
	r.BrokerID, r.BrokerEpoch = 1, s.epoch
	r.Topics = append(r.Topics, t)
	return r
}

// idOf returns the id of a topic.
func (s *single) idOf(topic string) [16]byte {
	s.t.Helper()
	resp := ask[*kmsg.MetadataResponse](s.t, s.addr, withVersion(metadata(topic), 12))
	return resp.Topics[0].TopicID
}
