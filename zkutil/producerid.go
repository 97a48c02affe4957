package zkutil

import (
	"context"
	"fmt"
	"math"
	"strconv"
)

// ProducerIDBlockPath holds the last block of producer ids that was given out, or no data if there was
// none.
const ProducerIDBlockPath = "/latest_producer_id_block"

// ProducerIDBlockSize is how many ids a broker is given at once.
const ProducerIDBlockSize = 1000

// ProducerIDBlock is a range of producer ids that one broker may give out (ProducerIdsBlock).
type ProducerIDBlock struct {
	Broker int32
	First  int64
	Last   int64 // inclusive
}

// Encode returns the contents of ProducerIDBlockPath. The bounds are strings there.
func (b ProducerIDBlock) Encode() []byte {
	return fmt.Appendf(nil, `{"version":1,"broker":%d,"block_start":"%d","block_end":"%d"}`, b.Broker, b.First, b.Last)
}

// DecodeProducerIDBlock returns the block in data.
func DecodeProducerIDBlock(data []byte) (ProducerIDBlock, error) {
	b, err := decodeProducerIDBlock(data)
	if err != nil {
		return ProducerIDBlock{}, malformed("producer id block", data, err)
	}
	return b, nil
}

func decodeProducerIDBlock(data []byte) (b ProducerIDBlock, err error) {
	o, err := parseObject(data)
	if err != nil {
		return b, err
	}
	if b.Broker, err = required[int32](o, "broker"); err != nil {
		return b, err
	}
	for key, bound := range map[string]*int64{"block_start": &b.First, "block_end": &b.Last} {
		text, err := required[string](o, key)
		if err != nil {
			return b, err
		}
		if *bound, err = strconv.ParseInt(text, 10, 64); err != nil {
			return b, fmt.Errorf("%q: %w", key, err)
		}
	}
	if b.First < 0 || b.Last < b.First-1 || b.Last-b.First >= math.MaxInt32 {
		return b, fmt.Errorf("no block from %d to %d", b.First, b.Last)
	}
	return b, nil
}

// AllocateProducerIDs takes the next block of producer ids for broker. Brokers that do so at once get
// different blocks, since the write is conditional; a lost answer may skip a block
// (ZkProducerIdManager.getNewProducerIdBlock).
func (c *Client) AllocateProducerIDs(ctx context.Context, broker int32) (ProducerIDBlock, error) {
	for {
		data, stat, err := c.Get(ctx, ProducerIDBlockPath)
		if err != nil {
			return ProducerIDBlock{}, err
		}
		next := ProducerIDBlock{Broker: broker, First: 0, Last: ProducerIDBlockSize - 1}
		if data != nil {
			last, err := DecodeProducerIDBlock(data)
			if err != nil {
				return ProducerIDBlock{}, err
			}
			if last.Last > math.MaxInt64-ProducerIDBlockSize {
				return ProducerIDBlock{}, fmt.Errorf("producer ids are exhausted: the last block ends at %d", last.Last)
			}
			next.First, next.Last = last.Last+1, last.Last+ProducerIDBlockSize
		}
		_, err = c.Set(ctx, ProducerIDBlockPath, next.Encode(), stat.Version)
		if err == nil {
			return next, nil
		}
		if !isBadVersion(err) {
			return ProducerIDBlock{}, err
		}
	}
}
