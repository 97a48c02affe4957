package conformance

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// world is the cluster that the table of errors is replayed on: broker 1, the controller, and broker
// 2, which are real, and broker 3, which only looks like one, in the roles that they had when the
// table was recorded.
//
// The names of topics are those of the table's texts: p4 has its partitions on 1, 2, 3 and 1; the
// replicas of three are 3, 1 and 2, those of two 1 and 3.
type world struct {
	t     *testing.T
	c     *cluster.Cluster
	zk    *zooKeeper
	third *fake

	epoch      int64 // broker 1's
	controller int32 // epoch of the controller
	ids        map[string][16]byte
	session    int32 // of the last Fetch that got one
}

// e1 is the topic that most rows are about; when the rows that fetch begin, it holds this many records.
const recordsInE1 = 17

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ids: map[string][16]byte{}}
	// Broker 3 copies nothing: it is in the ISR for as long as the table takes.
	w.c = start(t, 1, cluster.Props{"replica.lag.time.max.ms": "3600000"})
	if onKafka() {
		w.c.AddKafka(nil)
	} else {
		w.c.Add(nil)
	}
	w.zk = openZooKeeper(t, w.c.ZooKeeper(), 30*time.Second)
	w.third = startFake(t, w.zk, 3, "")
	w.await("three brokers", func() bool { return len(w.metadata(12).Brokers) == 3 })
	w.epoch = w.c.Epoch(1)
	w.controller = w.zk.controllerEpoch(t)

	w.create("e1", nil, []int32{1})
	w.create("under_score", nil, []int32{1})
	w.create("p4", nil, []int32{1}, []int32{2}, []int32{3}, []int32{1})
	w.create("compact", map[string]string{"cleanup.policy": "compact"}, []int32{1})
	w.create("min2", map[string]string{"min.insync.replicas": "2"}, []int32{1})
	w.create("times", map[string]string{"message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000"}, []int32{1})
	w.create("second", nil, []int32{2, 1})
	w.create("three", nil, []int32{3, 1, 2})
	w.create("two", nil, []int32{1, 3})
	w.create("two-of-two", map[string]string{"min.insync.replicas": "2"}, []int32{1, 3})
	w.await("follower of second-0", func() bool {
		req := fetch(part("second", 0))
		req.SetVersion(12)
		return ask[*kmsg.FetchResponse](t, w.addr(1), req).Topics[0].Partitions[0].ErrorCode == 0
	})
	return w
}

func (w *world) addr(id int32) string {
	if id == 0 {
		id = 1
	}
	return w.c.Broker(id).Addr()
}

func (w *world) await(what string, done func() bool) {
	w.t.Helper()
	cluster.Await(w.t, patience, what, done)
}

// metadata asks broker 1 for the named topics, and nothing is created by asking.
func (w *world) metadata(version int16, topics ...string) *kmsg.MetadataResponse {
	w.t.Helper()
	req := metadata(topics...)
	req.SetVersion(version)
	return ask[*kmsg.MetadataResponse](w.t, w.addr(1), req)
}

// create creates a topic with the given replicas.
func (w *world) create(name string, config map[string]string, replicas ...[]int32) {
	w.t.Helper()
	topic := topicOf(name)
	topic.NumPartitions, topic.ReplicationFactor = -1, -1
	for i, r := range replicas {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, assigned(int32(i), r...))
	}
	for k, v := range config {
		topic.Configs = append(topic.Configs, configOf(k, &v))
	}
	resp := ask[*kmsg.CreateTopicsResponse](w.t, w.addr(1), withVersion(createTopics(topic), 7))
	if list := errorsIn(resp); len(list) > 0 {
		w.t.Fatalf("create topic %s: %v", name, list)
	}
	w.ids[name] = resp.Topics[0].TopicID
}

// produce appends batches to partition 0 of a topic.
func (w *world) produce(topic string, batches ...[]byte) {
	w.t.Helper()
	for _, b := range batches {
		resp := ask[*kmsg.ProduceResponse](w.t, w.addr(1), withVersion(produce(topic, 0, b), 9))
		if list := errorsIn(resp); len(list) > 0 {
			w.t.Fatalf("produce to %s: %v", topic, list)
		}
	}
}

func withVersion(req kmsg.Request, version int16) kmsg.Request {
	req.SetVersion(version)
	return req
}

// call is one request of the table.
type call struct {
	to    int32        // the broker that is asked, 1 unless set
	req   kmsg.Request // sent in the row's version
	frame []byte       // in place of req: the content of a frame
	bytes []byte       // in place of both: bytes as they are
	means kmsg.Request // what frame is, for the answer to be understood
	// again sends the request until the answer is the right one: the row waits for something.
	again bool
	// silent says that no answer is due; rest completes what was sent to a ping.
	silent bool
	rest   []byte
	after  func(kmsg.Response)
	// check looks at the content of the answer, in place of the table.
	check func(content []byte) error
}

// script maps what is wrong, in the words of the table, to the request.
type script map[string]func(*world) call

// request is an entry of a script that depends on nothing.
func request(req kmsg.Request) func(*world) call {
	return func(*world) call { return call{req: req} }
}
