package integration

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// offsetTxn commits offsets of orders-0 to a group, in transactions, request by request.
type offsetTxn struct {
	t        *testing.T
	c        *cluster.Cluster
	client   *kgo.Client
	name     string
	producer int64
	epoch    int16
}

func newOffsetTxn(t *testing.T, c *cluster.Cluster, name string) *offsetTxn {
	t.Helper()
	x := &offsetTxn{t: t, c: c, client: c.Client(), name: name}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &name, int32(unhurried.Milliseconds())
	c.Await("a producer id for "+name, func() bool {
		resp, err := req.RequestWith(deadline(t), x.client)
		if err != nil || resp.ErrorCode != 0 {
			return false
		}
		x.producer, x.epoch = resp.ProducerID, resp.ProducerEpoch
		return true
	})
	return x
}

// retry repeats a request while it is answered with what clients repeat it for.
func (x *offsetTxn) retry(what string, ask func() (int16, error)) {
	x.t.Helper()
	last := ""
	defer func() {
		if x.t.Failed() {
			x.t.Logf("%s: the last answer was %s", what, last)
		}
	}()
	x.c.Await(what, func() bool {
		code, err := ask()
		if err == nil {
			err = kerr.ErrorForCode(code)
		}
		last = fmt.Sprint(err)
		return err == nil
	})
}

// commit adds the group's offsets to the transaction and commits one.
func (x *offsetTxn) commit(offset int64) {
	x.t.Helper()
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = x.name, x.producer, x.epoch, "g"
	x.retry("offsets added to the transaction", func() (int16, error) {
		resp, err := add.RequestWith(deadline(x.t), x.client)
		if err != nil {
			return 0, err
		}
		return resp.ErrorCode, nil
	})
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = offset, kmsg.StringPtr(x.name)
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = x.name, "g", x.producer, x.epoch, -1
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
	x.retry("offset committed in the transaction", func() (int16, error) {
		resp, err := req.RequestWith(deadline(x.t), x.client)
		if err != nil {
			return 0, err
		}
		return resp.Topics[0].Partitions[0].ErrorCode, nil
	})
}

func (x *offsetTxn) end(commit bool) {
	x.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = x.name, x.producer, x.epoch, commit
	x.retry("end of the transaction", func() (int16, error) {
		resp, err := req.RequestWith(deadline(x.t), x.client)
		if err != nil {
			return 0, err
		}
		return resp.ErrorCode, nil
	})
}

// expect waits until the group's coordinator says that the offset of orders-0 is that, and whether it is stable.
func (x *offsetTxn) expect(what string, offset int64, unstable bool) {
	x.t.Helper()
	client := x.c.Client()
	defer client.Close()
	last := ""
	defer func() {
		if x.t.Failed() {
			x.t.Logf("%s: %s, want %d, unstable %v", what, last, offset, unstable)
		}
	}()
	x.c.Await(what, func() bool {
		var got [2]kmsg.OffsetFetchResponseGroupTopicPartition
		for i := range got {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.RequireStable = i == 1
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.Topics = "g", []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", Partitions: []int32{0}}}
			req.Groups = append(req.Groups, g)
			resp, err := req.RequestWith(deadline(x.t), client)
			if err != nil || resp.Groups[0].ErrorCode != 0 {
				last = fmt.Sprint(err)
				return false
			}
			got[i] = resp.Groups[0].Topics[0].Partitions[0]
		}
		last = fmt.Sprintf("offset %d, when it is to be stable error %d", got[0].Offset, got[1].ErrorCode)
		return got[0].Offset == offset && (got[1].ErrorCode == kerr.UnstableOffsetCommit.Code) == unstable
	})
}

// handOver has an operator make another broker the leader of the groups' one partition, of which both have a replica. It takes less
// time than a Kafka broker that is killed.
func handOver(t *testing.T, c *cluster.Cluster, from, to *cluster.Broker) {
	t.Helper()
	client := c.Client()
	defer client.Close()
	admin := kadm.NewClient(client)
	var order kadm.AlterPartitionAssignmentsReq
	order.Assign(topic.ConsumerOffsets, 0, []int32{to.ID(), from.ID()})
	resp, err := admin.AlterPartitionAssignments(deadline(t), order)
	if err := errors.Join(err, resp.Error()); err != nil {
		t.Fatal(err)
	}
	c.Elect(topic.ConsumerOffsets, 0, to.ID())
}

// TestTransactionalOffsetsWithKafka lets Kafka and Gregor coordinate a group in turn while transactions commit offsets to it: each
// goes on from what the other has written, pending offsets included.
func TestTransactionalOffsetsWithKafka(t *testing.T) {
	c := cluster.Start(t, 0, cluster.Props{
		"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1", "auto.leader.rebalance.enable": "false",
		"controlled.shutdown.enable": "true",
	})
	c.AddKafka(nil)
	gregor, kafka := c.Add(nil), c.AddKafka(nil)
	createAssigned(t, c, topic.TransactionState, []int32{1})
	createAssigned(t, c, topic.ConsumerOffsets, []int32{kafka.ID(), gregor.ID()})
	createAssigned(t, c, "orders", []int32{1})
	awaitISR(c, topic.ConsumerOffsets, 1, 2)
	x := newOffsetTxn(t, c, "tx")
	toGregor := func() { t.Helper(); handOver(t, c, kafka, gregor) }
	toKafka := func() {
		t.Helper()
		c.Kill(gregor.ID())
		c.EndSession(gregor.ID()) // which the controller waits for
		c.Await("another coordinator", func() bool { return c.Leader(topic.ConsumerOffsets, 0) == kafka.ID() })
		c.Restart(gregor.ID())
		awaitISR(c, topic.ConsumerOffsets, 1, 2)
	}
	x.commit(10)
	x.expect("pending on Kafka", -1, true)
	toGregor()
	x.expect("pending on Gregor, which has read it", -1, true)
	x.end(true)
	x.expect("committed on Gregor", 10, false)
	x.commit(20)
	x.expect("pending on Gregor", 10, true)
	toKafka()
	x.expect("pending on Kafka, which has read it", 10, true)
	x.end(true)
	x.expect("committed on Kafka", 20, false)
	x.commit(30)
	toGregor()
	x.end(false)
	x.expect("aborted on Gregor", 20, false)
	x.commit(40)
	x.end(true)
	x.expect("committed on Gregor again", 40, false)
	toKafka()
	x.expect("committed, on Kafka again", 40, false)
}
