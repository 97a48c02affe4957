package load

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
)

// Spec describes the batches of a producer.
type Spec struct {
	RecordBytes int // of a record's value
	// BatchBytes is what a batch is filled up to, as with batch.size: its size on the wire, which is met
	// to the percent if it is compressed. 0 makes batches of one record.
	BatchBytes int
	Codec      record.Codec
	Partition  int32 // of the topic, to which the requests go
}

// Where the fields of a request and of a batch are that change from one request to the next.
const (
	correlationAt  = 8 // in the frame: size 4, key 2, version 2
	batchCRCAt     = 17
	batchCoveredAt = 21 // what the CRC covers begins here
	baseTimeAt     = 27
	maxTimeAt      = 35
)

// A frame is a Produce request with one batch, encoded but for the correlation id and the time.
type frame struct {
	bytes   []byte
	batch   []byte // the part of bytes that is the batch
	records int
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stamp makes the request the next one: its records are of the time now, in ms.
func (f *frame) stamp(correlation int32, now int64) {
	binary.BigEndian.PutUint32(f.bytes[correlationAt:], uint32(correlation))
	binary.BigEndian.PutUint64(f.batch[baseTimeAt:], uint64(now))
	binary.BigEndian.PutUint64(f.batch[maxTimeAt:], uint64(now))
	binary.BigEndian.PutUint32(f.batch[batchCRCAt:], crc32.Checksum(f.batch[batchCoveredAt:], castagnoli))
}

// produceVersion is what Kafka 3.9's own producer sends.
const produceVersion = 11

// encode makes a frame for a partition of a topic.
func encode(topic string, partition int32, acks int16, batch []byte, records int) *frame {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, acks, int32(patience.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	bytes := formatter.AppendRequest(nil, req, 0)
	const tags = 3 // of the partition, the topic and the request, all empty
	return &frame{bytes: bytes, batch: bytes[len(bytes)-tags-len(batch) : len(bytes)-tags], records: records}
}

// How many different frames there are, so that a broker does not see one again and again, and how many
// bytes of them, so that the generator need not fetch them from memory. There are always InFlight.
const (
	maxFrames     = 16
	maxFrameBytes = 2 << 20
)

// A Batches is a set of requests to be sent in turn.
type Batches struct {
	frames []*frame
	// Ratio is what compression made of the records: their size before, divided by that after.
	Ratio float64
}

// NewBatches encodes requests to a partition of a topic.
func NewBatches(topic string, acks int16, spec Spec) (*Batches, error) {
	random := newRandom()
	count, err := spec.fill(random)
	if err != nil {
		return nil, err
	}
	b := &Batches{}
	raw, wire := 0, 0
	for len(b.frames) < InFlight || len(b.frames) < maxFrames && wire < maxFrameBytes {
		batch, err := spec.batch(random, count)
		if err != nil {
			return nil, err
		}
		b.frames = append(b.frames, encode(topic, spec.Partition, acks, batch, count))
		raw += count * spec.RecordBytes
		wire += len(batch)
	}
	b.Ratio = float64(raw) / float64(wire)
	return b, nil
}

// BatchBytes returns the size of a batch.
func (b *Batches) BatchBytes() int { return len(b.frames[0].batch) }

// fill returns how many records make a batch of at most BatchBytes.
func (s Spec) fill(random *rand.Rand) (int, error) {
	if s.BatchBytes == 0 {
		return 1, nil
	}
	count := max(s.BatchBytes/(s.RecordBytes+16), 1)
	for range 4 { // the second guess is good, the others make it exact
		batch, err := s.batch(random, count)
		if err != nil {
			return 0, err
		}
		perRecord := float64(len(batch)-record.HeaderSize) / float64(count)
		count = max(int(float64(s.BatchBytes-record.HeaderSize)/perRecord), 1)
	}
	return count, nil
}

func (s Spec) batch(random *rand.Rand, records int) ([]byte, error) {
	builder := record.NewBuilder(record.MagicV2, record.BuilderOptions{Codec: s.Codec})
	now := time.Now().UnixMilli()
	for range records {
		if err := builder.Append(record.Record{Timestamp: now, Value: line(random, s.RecordBytes)}); err != nil {
			return nil, fmt.Errorf("build a batch: %w", err)
		}
	}
	batch, err := builder.Build(nil)
	if err != nil {
		return nil, fmt.Errorf("build a batch: %w", err)
	}
	return batch, nil
}

var words = []string{"order", "accepted", "payment", "declined", "customer", "basket", "shipped", "warehouse", "retry",
	"timeout", "upstream", "connection", "reset", "session", "renewed", "token", "cache", "miss", "user", "login"}

// line returns n bytes of text as services log it: names that repeat, numbers and ids that do not.
func line(random *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+128)
	for len(b) < n {
		b = fmt.Appendf(b, `{"host":"node-%02d","request":"%016x","trace":"%016x","user":%d,"ms":%d.%03d,"event":"%s %s %s"}`,
			random.IntN(40), random.Uint64(), random.Uint64(), random.IntN(1e6), random.IntN(100), random.IntN(1000),
			words[random.IntN(len(words))], words[random.IntN(len(words))], words[random.IntN(len(words))])
	}
	return b[:n]
}

// newRandom returns what makes the same records in every run.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
