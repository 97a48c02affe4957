package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

// Requests, with what is said of them most often as the parameters.

func ptr[T any](v T) *T { return &v }

func topicOf(name string, change ...func(*kmsg.CreateTopicsRequestTopic)) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1, 1
	for _, c := range change {
		c(&t)
	}
	return t
}

func sized(partitions int32, replicas int16) func(*kmsg.CreateTopicsRequestTopic) {
	return func(t *kmsg.CreateTopicsRequestTopic) { t.NumPartitions, t.ReplicationFactor = partitions, replicas }
}

func configured(name, value string) func(*kmsg.CreateTopicsRequestTopic) {
	return func(t *kmsg.CreateTopicsRequestTopic) { t.Configs = append(t.Configs, configOf(name, &value)) }
}

func configOf(name string, value *string) kmsg.CreateTopicsRequestTopicConfig {
	c := kmsg.NewCreateTopicsRequestTopicConfig()
	c.Name, c.Value = name, value
	return c
}

// placed gives a topic an assignment in place of counts.
func placed(list ...kmsg.CreateTopicsRequestTopicReplicaAssignment) func(*kmsg.CreateTopicsRequestTopic) {
	return func(t *kmsg.CreateTopicsRequestTopic) {
		t.NumPartitions, t.ReplicationFactor, t.ReplicaAssignment = -1, -1, list
	}
}

func assigned(partition int32, replicas ...int32) kmsg.CreateTopicsRequestTopicReplicaAssignment {
	a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	a.Partition, a.Replicas = partition, replicas
	return a
}

func createTopics(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.Topics, r.TimeoutMillis = topics, 20_000
	return r
}

// createOne creates one topic that differs from an ordinary one by change.
func createOne(name string, change ...func(*kmsg.CreateTopicsRequestTopic)) func(*world) call {
	return request(createTopics(topicOf(name, change...)))
}

func impatient(r *kmsg.CreateTopicsRequest, timeoutMs int32) *kmsg.CreateTopicsRequest {
	r.TimeoutMillis = timeoutMs
	return r
}

func deleteTopics(timeoutMs int32, names ...string) *kmsg.DeleteTopicsRequest {
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = timeoutMs
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		r.Topics = append(r.Topics, t)
		r.TopicNames = append(r.TopicNames, name)
	}
	return r
}

func deleteByID(name *string, id [16]byte) *kmsg.DeleteTopicsRequest {
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 20_000
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic, t.TopicID = name, id
	r.Topics = append(r.Topics, t)
	return r
}

func createPartitions(topic string, count int32, assignment ...[]int32) *kmsg.CreatePartitionsRequest {
	r := kmsg.NewPtrCreatePartitionsRequest()
	r.TimeoutMillis = 20_000
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	for _, replicas := range assignment {
		a := kmsg.NewCreatePartitionsRequestTopicAssignment()
		a.Replicas = replicas
		t.Assignment = append(t.Assignment, a)
	}
	r.Topics = append(r.Topics, t)
	return r
}

func produce(topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.Acks, r.TimeoutMillis = -1, 20_000
	r.Topics = append(r.Topics, produceTopic(topic, partition, records))
	return r
}

func produceTopic(topic string, partition int32, records []byte) kmsg.ProduceRequestTopic {
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = topic, []kmsg.ProduceRequestTopicPartition{p}
	return t
}

func acks(r *kmsg.ProduceRequest, n int16) *kmsg.ProduceRequest {
	r.Acks = n
	return r
}

// batchTo produces one batch, changed as given, to e1-0.
func batchTo(change ...func(*batch)) func(*world) call {
	return func(*world) call { return call{req: produce("e1", 0, newBatch(change...))} }
}

// partOf names a partition, by name or by id.
type partOf struct {
	topic     string
	id        [16]byte
	partition int32
}

func part(topic string, partition int32) partOf { return partOf{topic: topic, partition: partition} }

func fetch(at partOf, change ...func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.PartitionMaxBytes = at.partition, 1<<20
	r := kmsg.NewPtrFetchRequest()
	r.ReplicaID, r.MaxWaitMillis, r.MinBytes, r.MaxBytes = -1, 100, 1, 10<<20
	r.SessionEpoch = -1
	for _, c := range change {
		c(r, &p)
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = at.topic, at.id, []kmsg.FetchRequestTopicPartition{p}
	r.Topics = append(r.Topics, t)
	return r
}

func session(id, epoch int32) func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {
	return func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) {
		r.SessionID, r.SessionEpoch = id, epoch
	}
}

func fromOffset(offset int64) func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {
	return func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = offset }
}

func inEpoch(epoch int32) func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {
	return func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = epoch }
}

func listOffsets(at partOf, timestamp int64, epoch int32) *kmsg.ListOffsetsRequest {
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch, p.MaxNumOffsets = at.partition, timestamp, epoch, 1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = at.topic, []kmsg.ListOffsetsRequestTopicPartition{p}
	r := kmsg.NewPtrListOffsetsRequest()
	r.ReplicaID = -1
	r.Topics = append(r.Topics, t)
	return r
}

func offsetForEpoch(at partOf, current, epoch int32) *kmsg.OffsetForLeaderEpochRequest {
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = at.partition, current, epoch
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic, t.Partitions = at.topic, []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}
	r := kmsg.NewPtrOffsetForLeaderEpochRequest()
	r.ReplicaID = -1
	r.Topics = append(r.Topics, t)
	return r
}

// metadata asks for topics, none of which is created by asking.
func metadata(topics ...string) *kmsg.MetadataRequest {
	r := kmsg.NewPtrMetadataRequest()
	r.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		r.Topics = append(r.Topics, t)
	}
	return r
}

func metadataByID(ids ...[16]byte) *kmsg.MetadataRequest {
	r := metadata()
	for _, id := range ids {
		t := kmsg.NewMetadataRequestTopic()
		t.TopicID = id
		r.Topics = append(r.Topics, t)
	}
	return r
}

func creating(r *kmsg.MetadataRequest) *kmsg.MetadataRequest {
	r.AllowAutoTopicCreation = true
	return r
}

func findCoordinator(kind int8, keys ...string) *kmsg.FindCoordinatorRequest {
	r := kmsg.NewPtrFindCoordinatorRequest()
	r.CoordinatorType, r.CoordinatorKeys = kind, keys
	if len(keys) > 0 {
		r.CoordinatorKey = keys[0]
	}
	return r
}

func initProducerID(id *string, timeoutMs int32, producer int64, epoch int16) *kmsg.InitProducerIDRequest {
	r := kmsg.NewPtrInitProducerIDRequest()
	r.TransactionalID, r.TransactionTimeoutMillis, r.ProducerID, r.ProducerEpoch = id, timeoutMs, producer, epoch
	return r
}

func writeTxnMarkers(at partOf) *kmsg.WriteTxnMarkersRequest {
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.Topics = 1<<40, []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: at.topic, Partitions: []int32{at.partition}}}
	r := kmsg.NewPtrWriteTxnMarkersRequest()
	r.Markers = append(r.Markers, m)
	return r
}

func txnOffsetCommit(group, topic string) *kmsg.TxnOffsetCommitRequest {
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic, t.Partitions = topic, []kmsg.TxnOffsetCommitRequestTopicPartition{kmsg.NewTxnOffsetCommitRequestTopicPartition()}
	r := kmsg.NewPtrTxnOffsetCommitRequest()
	r.TransactionalID, r.Group, r.ProducerID, r.Generation, r.Topics = "t1", group, 1<<40, -1, append(r.Topics, t)
	return r
}

func describeTransactions(id string) *kmsg.DescribeTransactionsRequest {
	r := kmsg.NewPtrDescribeTransactionsRequest()
	r.TransactionalIDs = []string{id}
	return r
}

func describeProducers(at partOf) *kmsg.DescribeProducersRequest {
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = at.topic, []int32{at.partition}
	r := kmsg.NewPtrDescribeProducersRequest()
	r.Topics = append(r.Topics, t)
	return r
}

func describeConfigs(kind int8, name string, keys ...string) *kmsg.DescribeConfigsRequest {
	c := kmsg.NewDescribeConfigsRequestResource()
	c.ResourceType, c.ResourceName, c.ConfigNames = kmsg.ConfigResourceType(kind), name, keys
	r := kmsg.NewPtrDescribeConfigsRequest()
	r.Resources = append(r.Resources, c)
	return r
}

func deleteRecords(at partOf, offset int64) *kmsg.DeleteRecordsRequest {
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = at.partition, offset
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = at.topic, []kmsg.DeleteRecordsRequestTopicPartition{p}
	r := kmsg.NewPtrDeleteRecordsRequest()
	r.TimeoutMillis = 20_000
	r.Topics = append(r.Topics, t)
	return r
}

func describeCluster(endpoint int8) *kmsg.DescribeClusterRequest {
	r := kmsg.NewPtrDescribeClusterRequest()
	r.EndpointType = endpoint
	return r
}

func apiVersions(software string) *kmsg.ApiVersionsRequest {
	r := kmsg.NewPtrApiVersionsRequest()
	r.ClientSoftwareName, r.ClientSoftwareVersion = software, "1.0"
	return r
}
