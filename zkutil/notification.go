package zkutil

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Where brokers leave notes for the controller, in sequential nodes that it deletes.
const (
	ISRChangesPath   = "/isr_change_notification"
	LogDirEventsPath = "/log_dir_event_notification"

	isrChangePrefix   = ISRChangesPath + "/isr_change_"
	logDirEventPrefix = LogDirEventsPath + "/log_dir_event_"

	logDirFailure = 1 // the only event there is
)

// EncodeISRChange returns the contents of a note that leaders have changed the ISRs of partitions.
func EncodeISRChange(partitions []topic.Partition) []byte { return encodePartitions(partitions) }

// DecodeISRChange returns the partitions that such a note names.
func DecodeISRChange(data []byte) ([]topic.Partition, error) {
	return decodePartitions("ISR change notification", data)
}

// NotifyISRChange tells the controller of changed ISRs and returns the node's path
// (propagateIsrChanges).
func (c *Client) NotifyISRChange(ctx context.Context, partitions []topic.Partition) (string, error) {
	return c.Create(ctx, isrChangePrefix, EncodeISRChange(partitions), PersistentSequential)
}

// EncodeLogDirEvent returns the contents of a note that a log directory of a broker has failed.
func EncodeLogDirEvent(broker int32) []byte {
	return fmt.Appendf(nil, `{"version":1,"broker":%d,"event":%d}`, broker, logDirFailure)
}

// DecodeLogDirEvent returns the broker that such a note is from. There is none, which ok tells, if the
// contents are no JSON.
func DecodeLogDirEvent(data []byte) (broker int32, ok bool, err error) {
	o, err := parseObject(data)
	if errors.Is(err, errNotJSON) {
		return 0, false, nil
	}
	if err == nil {
		broker, err = required[int32](o, "broker")
	}
	if err != nil {
		return 0, false, malformed("log dir event", data, err)
	}
	return broker, true, nil
}

// NotifyLogDirFailure tells the controller that a log directory of a broker has failed
// (propagateLogDirEvent).
func (c *Client) NotifyLogDirFailure(ctx context.Context, broker int32) (string, error) {
	return c.Create(ctx, logDirEventPrefix, EncodeLogDirEvent(broker), PersistentSequential)
}

// SequenceNumber returns the counter that ZooKeeper has put behind the name of a sequential node.
func SequenceNumber(name, prefix string) (int64, error) {
	digits, found := strings.CutPrefix(name, prefix)
	if !found {
		return 0, fmt.Errorf("node %q does not begin with %q", name, prefix)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("node %q does not end in a number: %w", name, err)
	}
	return n, nil
}
