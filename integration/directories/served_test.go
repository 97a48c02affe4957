package directories

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// served is all that a broker answers about a partition.
type served struct {
	Start, End int64
	Stable     int64
	Batches    []string // a line for each, with all of its bytes
	Aborted    []string // transactions, as Fetch lists them
	Times      []string // what ListOffsets finds for timestamps
	Producers  []string // what DescribeProducers says
}

// ask returns what the broker serves of all topics, and the offsets of the group. coordinated says whether there are
// transactions that a coordinator knows.
func ask(t *testing.T, c *cluster.Cluster, coordinated bool) (map[topic.Partition]served, string) {
	t.Helper()
	client := raw(c)
	all := map[topic.Partition]served{}
	names := []string{topic.ConsumerOffsets}
	for name := range topics {
		names = append(names, name)
	}
	if coordinated {
		names = append(names, topic.TransactionState)
	}
	for _, name := range names {
		c.AwaitTopic(name)
		all[topic.Partition{Topic: name}] = askPartition(t, client, name)
	}
	for p, s := range all {
		s.Producers = describeProducers(t, c.Client(), p.Topic)
		all[p] = s
	}
	admin := kadm.NewClient(client)
	offsets := ""
	c.Await("the group's offsets", func() bool {
		fetched, err := admin.FetchOffsets(deadline(t), "followers")
		offsets = fmt.Sprint(fetched.Offsets())
		return err == nil && fetched.Error() == nil
	})
	return all, offsets
}

func askPartition(t *testing.T, client *kgo.Client, name string) (s served) {
	t.Helper()
	s.Start, _ = listOffset(t, client, name, -2)
	s.End, _ = listOffset(t, client, name, -1)
	stamps := []int64{}
	for offset := s.Start; offset < s.End; {
		part := fetch(t, client, name, offset)
		if s.Stable = part.LastStableOffset; offset == s.Start {
			for _, txn := range part.AbortedTransactions {
				s.Aborted = append(s.Aborted, fmt.Sprintf("from %d on by %d", txn.FirstOffset, txn.ProducerID))
			}
			slices.Sort(s.Aborted)
		}
		before := offset
		for rest := part.RecordBatches; ; {
			b, next, err := record.Next(rest)
			if err != nil {
				break // the last one is cut
			}
			rest, offset = next, b.NextOffset()
			if b.Check() != nil {
				t.Errorf("%s: the batch at %d is broken", name, b.BaseOffset())
			}
			s.Batches = append(s.Batches, fmt.Sprintf("%d-%d %x", b.BaseOffset(), b.LastOffset(), shortened(b)))
			stamps = append(stamps, b.MaxTimestamp())
		}
		if offset == before {
			t.Fatalf("%s: nothing comes from offset %d on, the end is %d", name, offset, s.End)
		}
	}
	slices.Sort(stamps)
	stamps = slices.Compact(stamps)
	for _, stamp := range stamps[:min(len(stamps), 20)] {
		offset, found := listOffset(t, client, name, stamp)
		s.Times = append(s.Times, fmt.Sprintf("%d: %d of %d", stamp, offset, found))
	}
	return s
}

// shortened returns a batch or, of a large one, what its checksum stands for.
func shortened(b record.Batch) []byte {
	return b[:min(len(b), 2000)]
}

func fetch(t *testing.T, client *kgo.Client, name string, offset int64) kmsg.FetchResponseTopicPartition {
	t.Helper()
	part := kmsg.NewFetchRequestTopicPartition()
	part.FetchOffset, part.PartitionMaxBytes = offset, 10<<20
	at := kmsg.NewFetchRequestTopic()
	at.Topic, at.Partitions = name, append(at.Partitions, part)
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes, req.MaxWaitMillis, req.SessionEpoch, req.IsolationLevel = -1, 1, 10<<20, 1000, -1, 1
	req.Topics = append(req.Topics, at)
	resp, err := client.Broker(1).Request(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	answer := resp.(*kmsg.FetchResponse)
	if answer.ErrorCode != 0 || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("fetch %s from %d: %d, %d", name, offset, answer.ErrorCode, answer.Topics[0].Partitions[0].ErrorCode)
	}
	return answer.Topics[0].Partitions[0]
}

// listOffset looks for a timestamp. It waits until the broker leads: clients may be told so before it is.
func listOffset(t *testing.T, client *kgo.Client, name string, timestamp int64) (offset, found int64) {
	t.Helper()
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Timestamp = timestamp
	at := kmsg.NewListOffsetsRequestTopic()
	at.Topic, at.Partitions = name, append(at.Partitions, part)
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, at)
	var answer kmsg.ListOffsetsResponseTopicPartition
	cluster.Await(t, patience, "leader of "+name, func() bool {
		resp, err := client.Broker(1).Request(deadline(t), req)
		if err != nil {
			t.Fatal(err)
		}
		answer = resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		return answer.ErrorCode != kerr.NotLeaderForPartition.Code
	})
	if answer.ErrorCode != 0 {
		t.Fatalf("offset of %s at %d: %d", name, timestamp, answer.ErrorCode)
	}
	return answer.Offset, answer.Timestamp
}

// describeProducers lists the producers of a partition.
func describeProducers(t *testing.T, client *kgo.Client, name string) (all []string) {
	t.Helper()
	at := kmsg.NewDescribeProducersRequestTopic()
	at.Topic, at.Partitions = name, []int32{0}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = append(req.Topics, at)
	resp, err := client.Broker(1).Request(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resp.(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0].ActiveProducers {
		all = append(all, fmt.Sprintf("%+v", p))
	}
	slices.Sort(all)
	return all
}
