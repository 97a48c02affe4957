package clients

import (
	"time"

	"github.com/segmentio/kafka-go"
)

// Header is one of a record's headers. Keys may repeat, and the order is kept.
type Header struct {
	Key   string
	Value []byte
}

// Record is what is produced or was consumed.
type Record struct {
	Topic string
	// Partition is where a record was consumed from. A record to be produced goes there if it is not nil, and
	// otherwise where its key says, as Kafka's default partitioner: by the key's murmur2 hash, without a key anywhere.
	Partition *int
	Offset    int64 // of a consumed record
	Key       []byte
	Value     []byte
	Headers   []Header
	// Timestamp of a record to be produced is the present time if it is zero.
	Timestamp time.Time
}

// RecordMetadata tells where a record that was produced is.
type RecordMetadata struct {
	Topic     string
	Partition int
	// Offset is -1 with acks=0, since the broker says nothing then.
	Offset              int64
	Timestamp           time.Time
	SerializedKeySize   int // bytes
	SerializedValueSize int // bytes
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int
}

// What a batch and a record have around what is in them, at most (DefaultRecordBatch, DefaultRecord).
const (
	batchOverhead  = 61
	recordOverhead = 21
	lengthOverhead = 5 // of a key, a value, or a count of headers
)

// sizeBound returns how many bytes a batch of r alone has, at most. Without what is around the records any number of
// empty ones would fit into a buffer.
func (r *Record) sizeBound() int64 {
	size := batchOverhead + recordOverhead + 3*lengthOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += 2*lengthOverhead + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return int64(size)
}

func (r *Record) headers() []kafka.Header {
	if len(r.Headers) == 0 {
		return nil
	}
	headers := make([]kafka.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = kafka.Header(h)
	}
	return headers
}
func recordOf(m *kafka.Message) Record {
	partition := m.Partition
	r := Record{Topic: m.Topic, Partition: &partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Timestamp: m.Time}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, Header(h))
	}
	return r
}
