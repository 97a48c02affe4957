package produce

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/topic"
)

// TestWholeRequestsAreRefused sends requests for two partitions, with something wrong in one of them, and compares with
// what Kafka 3.9.2 answers for both.
func TestWholeRequestsAreRefused(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	b.Topic(t, "bills", 1, []int32{1}, nil)
	good := func() []byte { return fixture.Batch(t, 1, 10, record.BuilderOptions{}) }
	of := func(producer int64) []byte {
		return fixture.Batch(t, 1, 10, record.BuilderOptions{Producer: &record.ProducerInfo{ID: producer}, Transactional: true})
	}
	codec := good()
	codec[22] |= 7 // of the attributes
	binary.BigEndian.PutUint32(codec[17:], crc32.Checksum(codec[21:], crc32.MakeTable(crc32.Castagnoli)))
	magic := good()
	magic[16] = 5
	zeros := append(good(), make([]byte, 61)...)
	tests := []struct {
		name           string
		version, acks  int16
		transactional  bool
		topic          string // of the second partition
		first, second  []byte
		want           [2]int16
		appendsToFirst bool
	}{
		{"a codec that there is not, in v6", 6, 1, false, "bills", good(), codec, [2]int16{-1, -1}, false},
		{"a codec that there is not, in v7", 7, 1, false, "bills", good(), codec, [2]int16{0, -1}, true},
		{"a codec that there is not, for an unknown topic", 6, 1, false, "nope", good(), codec, [2]int16{0, 3}, true},
		{"a header that makes no sense", 9, 1, false, "nope", good(), magic, [2]int16{2, 2}, false},
		{"a second header that makes no sense, in v2", 2, 2, false, "bills", good(), zeros, [2]int16{2, 2}, false},
		{"a second header that makes no sense, in v3", 3, 1, false, "bills", good(), zeros, [2]int16{0, 2}, true},
		{"a second header that makes no sense, for an unknown topic", 2, 1, false, "nope", good(), zeros, [2]int16{0, 3}, true},
		{"two producers of transactional batches", 9, -1, true, "bills", of(1), of(2), [2]int16{49, 49}, false},
		{"two producers, one for an unknown topic", 9, -1, true, "nope", of(3), of(4), [2]int16{0, 3}, true},
		{"a header that makes no sense behind a transactional one", 9, -1, true, "bills", of(5), magic, [2]int16{0, 2}, true},
	}
	h := handler(b)
	for _, tt := range tests {
		log := b.Storage.Log(topic.Partition{Topic: "orders"})
		end := log.EndOffset()
		req := produceRequest(tt.version, tt.acks, "orders", 0, tt.first)
		req.Topics = append(req.Topics, produceRequest(tt.version, tt.acks, tt.topic, 0, tt.second).Topics...)
		if tt.transactional {
			req.TransactionID = kmsg.StringPtr("t")
		}
		resp := kmsg.NewPtrProduceResponse()
		fixture.Do(t, h, req, resp)
		got := [2]int16{resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[1].Partitions[0].ErrorCode}
		if got != tt.want {
			t.Errorf("%s: errors %v, want %v", tt.name, got, tt.want)
		}
		if appended := log.EndOffset() != end; appended != tt.appendsToFirst {
			t.Errorf("%s: appended to the first partition: %v", tt.name, appended)
		}
	}
}
