package controller

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

// The versions of requests at inter.broker.protocol.version 3.9.
const (
	versionLeaderAndISR   = 7
	versionUpdateMetadata = 8
	versionStopReplica    = 4
)

// leaderDuringDelete and epochDuringDelete stand for leader and leader epoch of a partition whose
// topic is being deleted (LeaderAndIsr.scala).
const (
	leaderDuringDelete = -2
	epochDuringDelete  = -2
	noEpoch            = -1
)

// peers are the channels to brokers.
type peers interface {
	// Add opens a channel to b, or a new one if b's address has changed.
	Add(b *zkutil.Broker)
	// Remove closes the channel to a broker; requests that it has not answered are dropped.
	Remove(broker int32)
	// Send hands a request to the channel and does not wait. A request to a broker without a channel
	// is dropped. The response returns as an event.
	Send(broker int32, req kmsg.Request)
}

// batch gathers what one change of states sends, so that each broker gets one request of a kind
// however many partitions it is about (AbstractControllerBrokerRequestBatch). It keeps only which
// partitions a request is about: what it says of them is read when it is made.
type batch struct {
	lisr      map[int32]map[*partition]bool // broker to partition to whether the replica is new
	stop      map[int32]map[*partition]bool // broker to partition to whether it is deleted
	metadata  map[int32]bool                // brokers that get an UpdateMetadata request
	toAll     bool                          // all get one
	announced map[*partition]bool           // what it tells, the same to everyone
}

func newBatch() *batch {
	return &batch{
		lisr:      map[int32]map[*partition]bool{},
		stop:      map[int32]map[*partition]bool{},
		metadata:  map[int32]bool{},
		announced: map[*partition]bool{},
	}
}

// lead tells brokers the leadership of p, and all others by their metadata.
func (b *batch) lead(brokers []int32, p *partition, isNew bool) {
	for _, id := range brokers {
		add(b.lisr, id, p, isNew)
	}
	b.announce(p)
}

// announce tells all brokers the leadership of p by their metadata.
func (b *batch) announce(p *partition) {
	b.toAll = true
	b.announced[p] = true
}

// stopReplica stops the replica of p on broker.
func (b *batch) stopReplica(broker int32, p *partition, remove bool) { add(b.stop, broker, p, remove) }

// add enters p for broker; a flag once set stays. Brokers that do not exist are ignored.
func add(requests map[int32]map[*partition]bool, broker int32, p *partition, flag bool) {
	if broker < 0 {
		return
	}
	if requests[broker] == nil {
		requests[broker] = map[*partition]bool{}
	}
	requests[broker][p] = requests[broker][p] || flag
}

// flush sends b: to each broker LeaderAndIsr, then UpdateMetadata, then StopReplica.
func (c *core) flush(b *batch) {
	log := c.log
	for _, id := range slices.Sorted(maps.Keys(b.lisr)) {
		if broker := c.brokers[id]; broker != nil {
			req, leads := c.leaderAndISR(broker, b.lisr[id])
			log.Infof("Sending LeaderAndIsr request to broker %d with %d become-leader and %d become-follower partitions",
				id, leads, len(b.lisr[id])-leads)
			c.peers.Send(id, req)
		}
	}
	c.flushMetadata(b)
	for _, id := range slices.Sorted(maps.Keys(b.stop)) {
		if broker := c.brokers[id]; broker != nil {
			log.Infof("Sending StopReplica request for %d replicas to broker %d", len(b.stop[id]), id)
			c.peers.Send(id, c.stopReplicas(broker, b.stop[id]))
		}
	}
}

func (c *core) flushMetadata(b *batch) {
	if len(b.metadata) == 0 && !b.toAll {
		return
	}
	ids := c.brokerIDs()
	if !b.toAll {
		ids = keep(ids, func(id int32) bool { return b.metadata[id] })
	}
	told, partitions := c.metadataTopics(b.announced)
	live := c.liveBrokers()
	c.log.Infof("Sending UpdateMetadata request to brokers %v for %d partitions", ids, partitions)
	for _, id := range ids {
		req := kmsg.NewPtrUpdateMetadataRequest()
		req.Version = versionUpdateMetadata
		req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = c.id, c.fence.Epoch, c.brokers[id].Epoch
		req.TopicStates, req.LiveBrokers = told, live
		c.peers.Send(id, req)
	}
}

// byTopic calls each for every partition, in order, and says whether its topic is another than the
// one before.
func byTopic(set map[*partition]bool, each func(p *partition, flag, first bool)) {
	ordered := slices.SortedFunc(maps.Keys(set), func(a, b *partition) int { return a.Compare(b.Partition) })
	for i, p := range ordered {
		each(p, set[p], i == 0 || ordered[i-1].topic != p.topic)
	}
}

// leaderAndISR makes the request that tells broker of the partitions, and counts those it leads.
func (c *core) leaderAndISR(broker *zkutil.Broker, set map[*partition]bool) (req *kmsg.LeaderAndISRRequest, leads int) {
	req = kmsg.NewPtrLeaderAndISRRequest()
	req.Version = versionLeaderAndISR
	req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = c.id, c.fence.Epoch, broker.Epoch
	leaders := map[int32]bool{}
	byTopic(set, func(p *partition, isNew, first bool) {
		if first {
			req.TopicStates = append(req.TopicStates, kmsg.LeaderAndISRRequestTopicState{Topic: p.Topic, TopicID: p.topic.id})
		}
		l := p.leadership
		leaders[l.Leader] = true
		if l.Leader == broker.ID {
			leads++
		}
		t := &req.TopicStates[len(req.TopicStates)-1]
		t.PartitionStates = append(t.PartitionStates, kmsg.LeaderAndISRRequestTopicPartition{
			Partition:           p.Index,
			ControllerEpoch:     l.ControllerEpoch,
			Leader:              l.Leader,
			LeaderEpoch:         l.LeaderEpoch,
			ISR:                 l.ISR,
			ZKVersion:           l.Version,
			Replicas:            p.Replicas,
			AddingReplicas:      p.Adding,
			RemovingReplicas:    p.Removing,
			IsNew:               isNew,
			LeaderRecoveryState: recoveryState(l.Recovering),
		})
	})
	for _, id := range slices.Sorted(maps.Keys(leaders)) {
		leader := c.brokers[id]
		if leader == nil {
			continue
		}
		e, ok := endpoint(leader, c.listener)
		if !ok {
			c.log.WithField("broker", id).Errorf("Broker does not have the listener %s that brokers use among themselves", c.listener)
			continue
		}
		req.LiveLeaders = append(req.LiveLeaders, kmsg.LeaderAndISRRequestLiveLeader{BrokerID: id, Host: e.Host, Port: e.Port})
	}
	return req, leads
}

func recoveryState(recovering bool) int8 {
	if recovering {
		return 1
	}
	return 0
}

// metadataTopics makes the part of an UpdateMetadata request that tells of the partitions, leaving out
// those that never had a leader.
func (c *core) metadataTopics(set map[*partition]bool) (topics []kmsg.UpdateMetadataRequestTopicState, partitions int) {
	var last *topicState
	byTopic(set, func(p *partition, _, _ bool) {
		l := p.leadership
		if l == nil {
			return
		}
		if last != p.topic {
			last = p.topic
			topics = append(topics, kmsg.UpdateMetadataRequestTopicState{Topic: p.Topic, TopicID: p.topic.id})
		}
		leader, epoch, version := l.Leader, l.LeaderEpoch, l.Version
		if p.topic.queued {
			leader, epoch, version = leaderDuringDelete, 0, 0
		}
		t := &topics[len(topics)-1]
		t.PartitionStates = append(t.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{
			Partition:       p.Index,
			ControllerEpoch: l.ControllerEpoch,
			Leader:          leader,
			LeaderEpoch:     epoch,
			ISR:             l.ISR,
			ZKVersion:       version,
			Replicas:        p.Replicas,
			OfflineReplicas: keep(p.Replicas, func(id int32) bool { return !c.online(id, p) }),
		})
		partitions++
	})
	return topics, partitions
}

// securityProtocols are the ids of Kafka's security protocols (SecurityProtocol.java).
var securityProtocols = map[string]int16{"PLAINTEXT": 0, "SSL": 1, "SASL_PLAINTEXT": 2, "SASL_SSL": 3}

// endpoint returns where b listens on listener.
func endpoint(b *zkutil.Broker, listener string) (zkutil.Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return zkutil.Endpoint{}, false
}

// liveBrokers makes the part of an UpdateMetadata request that tells which brokers are registered.
func (c *core) liveBrokers() []kmsg.UpdateMetadataRequestLiveBroker {
	live := make([]kmsg.UpdateMetadataRequestLiveBroker, 0, len(c.brokers))
	for _, id := range c.brokerIDs() {
		b := c.brokers[id]
		told := kmsg.UpdateMetadataRequestLiveBroker{ID: id}
		if b.Rack != "" {
			told.Rack = &b.Rack
		}
		for _, e := range b.Endpoints {
			told.Endpoints = append(told.Endpoints, kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
				Host: e.Host, Port: e.Port, ListenerName: e.Listener, SecurityProtocol: securityProtocols[e.SecurityProtocol],
			})
		}
		live = append(live, told)
	}
	return live
}

// stopReplicas makes the request that stops the replicas of broker.
func (c *core) stopReplicas(broker *zkutil.Broker, set map[*partition]bool) *kmsg.StopReplicaRequest {
	req := kmsg.NewPtrStopReplicaRequest()
	req.Version = versionStopReplica
	req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = c.id, c.fence.Epoch, broker.Epoch
	byTopic(set, func(p *partition, remove, first bool) {
		if first {
			req.Topics = append(req.Topics, kmsg.StopReplicaRequestTopic{Topic: p.Topic})
		}
		epoch := int32(noEpoch)
		switch {
		case p.topic.queued:
			epoch = epochDuringDelete
		case p.leadership != nil:
			epoch = p.leadership.LeaderEpoch
		}
		t := &req.Topics[len(req.Topics)-1]
		t.PartitionStates = append(t.PartitionStates, kmsg.StopReplicaRequestTopicPartitionState{
			Partition: p.Index, LeaderEpoch: epoch, Delete: remove,
		})
	})
	return req
}

// sendMetadata tells brokers which brokers live, and what is known of the partitions.
func (c *core) sendMetadata(brokers []int32, ps []*partition) {
	b := newBatch()
	for _, id := range brokers {
		b.metadata[id] = true
	}
	for _, p := range ps {
		b.announced[p] = true
	}
	c.flush(b)
}
