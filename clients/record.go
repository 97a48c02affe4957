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
