package zkutil

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gregor-mq/gregor/broker/topic"
)

// ConsumerOffsetPath is the node with the offset that a consumer group from before Kafka 0.9 has committed for a
// partition (ConsumerOffset in ZkData.scala). Its data is the number, in decimal digits.
func ConsumerOffsetPath(group string, p topic.Partition) string {
	return fmt.Sprintf("/consumers/%s/offsets/%s/%d", group, p.Topic, p.Index)
}

// ConsumerOffset returns the committed offset of p; ok is false if there is none.
func (c *Client) ConsumerOffset(ctx context.Context, group string, p topic.Partition) (offset int64, ok bool, err error) {
	path := ConsumerOffsetPath(group, p)
	data, _, err := c.Get(ctx, path)
	switch {
	case isNoNode(err) || err == nil && len(data) == 0:
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	if offset, err = strconv.ParseInt(string(data), 10, 64); err != nil {
		return 0, false, malformed("consumer offset", data, err)
	}
	return offset, true, nil
}

// SetConsumerOffset commits an offset of p, and makes the nodes above it that are missing.
func (c *Client) SetConsumerOffset(ctx context.Context, group string, p topic.Partition, offset int64) error {
	path, data := ConsumerOffsetPath(group, p), strconv.AppendInt(nil, offset, 10)
	if _, err := c.Set(ctx, path, data, -1); !isNoNode(err) {
		return err
	}
	_, err := c.CreateRecursive(ctx, path, data, Persistent)
	if isNodeExists(err) { // somebody else was quicker
		_, err = c.Set(ctx, path, data, -1)
	}
	return err
}
