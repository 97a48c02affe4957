package bare

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// answerHead is the size, the correlation id, and a header without tags.
const answerHead = 4 + 4 + 1

// produceAck returns a Produce response of version 11 about one partition.
func produceAck() []byte {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = 11
	t := kmsg.NewProduceResponseTopic()
	t.Topic = "bench"
	t.Partitions = append(t.Partitions, kmsg.NewProduceResponseTopicPartition())
	resp.Topics = append(resp.Topics, t)
	ack := resp.AppendTo(make([]byte, answerHead))
	binary.BigEndian.PutUint32(ack, uint32(len(ack)-4))
	return ack
}

// fetchTail is what follows the records in a Fetch response of one partition: no tags, of the
// partition, of the topic, and of the response.
var fetchTail = []byte{0, 0, 0}

// fetchHead returns what precedes n bytes of records in a Fetch response of version 17.
func fetchHead(n int64) []byte {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 17
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = []byte{}
	t := kmsg.NewFetchResponseTopic()
	t.Partitions = append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	head := resp.AppendTo(make([]byte, answerHead))
	head = head[:len(head)-len(fetchTail)-1] // without the length of no records
	head = binary.AppendUvarint(head, uint64(n)+1)
	binary.BigEndian.PutUint32(head, uint32(int64(len(head)-4+len(fetchTail))+n))
	return head
}
