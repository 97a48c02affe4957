package conformance

import (
	"encoding/binary"
	"hash/crc32"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// batch is a batch of format v2 with one record, of which any field may be wrong. Built from
// newBatch, it is right.
type batch struct {
	kmsg.RecordBatch
	key, value []byte
	deltaTime  int64
	badCRC     bool
	moreLength int32
	body       []byte // in place of the record
}

// clock gives every record a later time than the one before, so that the last one is the latest.
var clock = func() (c atomic.Int64) {
	c.Store(time.Now().Add(-time.Minute).UnixMilli())
	return
}()

func newBatch(change ...func(*batch)) []byte {
	now := clock.Add(1)
	b := batch{RecordBatch: kmsg.NewRecordBatch(), value: []byte("value")}
	b.Magic, b.PartitionLeaderEpoch = 2, -1
	b.FirstTimestamp, b.MaxTimestamp = now, now
	b.ProducerID, b.ProducerEpoch, b.FirstSequence, b.NumRecords = -1, -1, -1, 1
	for _, c := range change {
		c(&b)
	}
	return b.encode()
}

const (
	overhead  = 12 // offset and length
	crcAt     = 17
	crcStarts = 21
)

func (b *batch) encode() []byte {
	b.Records = b.body
	if b.Records == nil {
		b.Records = b.record()
	}
	data := b.AppendTo(nil)
	binary.BigEndian.PutUint32(data[8:], uint32(int32(len(data)-overhead)+b.moreLength))
	sum := crc32.Checksum(data[crcStarts:], crc32.MakeTable(crc32.Castagnoli))
	if b.badCRC {
		sum++
	}
	binary.BigEndian.PutUint32(data[crcAt:], sum)
	return data
}

func (b *batch) record() []byte {
	body := []byte{0} // attributes
	body = binary.AppendVarint(body, b.deltaTime)
	body = binary.AppendVarint(body, 0) // offset
	for _, field := range [][]byte{b.key, b.value} {
		if field == nil {
			body = binary.AppendVarint(body, -1)
			continue
		}
		body = append(binary.AppendVarint(body, int64(len(field))), field...)
	}
	body = binary.AppendVarint(body, 0) // headers
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// producer makes a batch one of an idempotent producer.
func producer(id int64, epoch int16, sequence int32) func(*batch) {
	return func(b *batch) { b.ProducerID, b.ProducerEpoch, b.FirstSequence = id, epoch, sequence }
}

func attributes(bits int16) func(*batch) { return func(b *batch) { b.Attributes = bits } }

// Bits of the attributes of a batch.
const (
	gzipped       = 1
	zstdCodec     = 4
	noCodec       = 7
	logAppendTime = 1 << 3
	transactional = 1 << 4
	control       = 1 << 5
)

// message is a message of format v0 or v1.
func message(magic int8, badCRC bool) []byte {
	body := []byte{byte(magic), 0}
	if magic > 0 {
		body = binary.BigEndian.AppendUint64(body, uint64(clock.Add(1)))
	}
	body = binary.BigEndian.AppendUint32(body, 0xffffffff) // no key
	body = append(binary.BigEndian.AppendUint32(body, 5), "value"...)
	sum := crc32.ChecksumIEEE(body)
	if badCRC {
		sum++
	}
	data := binary.BigEndian.AppendUint64(nil, 0) // offset
	data = binary.BigEndian.AppendUint32(data, uint32(4+len(body)))
	data = binary.BigEndian.AppendUint32(data, sum)
	return append(data, body...)
}
