package consume

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/coordinatorjson"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// The records of the brokers' own topics, as Kafka's formatters of before 3.9 print them: a line each.
// Records of another kind in the same topic are left out.

const transactionKey = 0 // TransactionLogKey in __transaction_state

// malformed reports a record that is none of a coordinator.
func malformed(what string, err error) error {
	if errors.Is(err, kbin.ErrNotEnoughData) {
		return throwable.New("java.nio.BufferUnderflowException", "")
	}
	return throwable.New("org.apache.kafka.common.protocol.types.SchemaException", fmt.Sprintf("Error reading %s: %v", what, err))
}

// reader is what kmsg's coordinator records have in common.
type reader interface{ ReadFrom(src []byte) error }

func read(into reader, field []byte, what string) error {
	if err := into.ReadFrom(field); err != nil {
		return malformed(what, err)
	}
	return nil
}

func formatOffset(dst []byte, r *kgo.Record) ([]byte, error) {
	if v := coordinatorjson.Version(r.Key); v < 0 || v > coordinatorjson.OffsetKeyMax {
		return dst, nil
	}
	key := kmsg.NewOffsetCommitKey()
	if err := read(&key, r.Key, "OffsetCommitKey"); err != nil {
		return dst, err
	}
	dst = fmt.Appendf(dst, "[%s,%s,%d]::", key.Group, key.Topic, key.Partition)
	if r.Value == nil {
		return append(dst, "NULL\n"...), nil
	}
	value := kmsg.NewOffsetCommitValue()
	if err := read(&value, r.Value, "OffsetCommitValue"); err != nil {
		return dst, err
	}
	epoch, expire := "Optional.empty", "None"
	if value.Version >= 3 && value.LeaderEpoch >= 0 {
		epoch = fmt.Sprintf("Optional[%d]", value.LeaderEpoch)
	}
	if value.Version == 1 && value.ExpireTimestamp >= 0 {
		expire = fmt.Sprintf("Some(%d)", value.ExpireTimestamp)
	}
	return fmt.Appendf(dst, "OffsetAndMetadata(offset=%d, leaderEpoch=%s, metadata=%s, commitTimestamp=%d, expireTimestamp=%s)\n",
		value.Offset, epoch, value.Metadata, value.CommitTimestamp, expire), nil
}

func formatGroup(dst []byte, r *kgo.Record) ([]byte, error) {
	if coordinatorjson.Version(r.Key) != coordinatorjson.GroupKeyVersion {
		return dst, nil
	}
	key := kmsg.NewGroupMetadataKey()
	if err := read(&key, r.Key, "GroupMetadataKey"); err != nil {
		return dst, err
	}
	dst = append(append(dst, key.Group...), "::"...)
	if r.Value == nil {
		return append(dst, "NULL\n"...), nil
	}
	value := kmsg.NewGroupMetadataValue()
	if err := read(&value, r.Value, "GroupMetadataValue"); err != nil {
		return dst, err
	}
	state, members := "Stable", make([]string, 0, len(value.Members))
	if len(value.Members) == 0 {
		state = "Empty"
	}
	for _, m := range value.Members {
		members = append(members, fmt.Sprintf("%s -> MemberMetadata(memberId=%s, groupInstanceId=%s, clientId=%s, clientHost=%s, "+
			"sessionTimeoutMs=%d, rebalanceTimeoutMs=%d, supportedProtocols=List(%s))", m.MemberID, m.MemberID, option(m.InstanceID),
			m.ClientID, m.ClientHost, m.SessionTimeoutMillis, m.RebalanceTimeoutMillis, text(value.Protocol)))
	}
	protocolType := "None"
	if value.ProtocolType != "" {
		protocolType = "Some(" + value.ProtocolType + ")"
	}
	return fmt.Appendf(dst, "GroupMetadata(groupId=%s, generation=%d, protocolType=%s, currentState=%s, members=HashMap(%s))\n",
		key.Group, value.Generation, protocolType, state, strings.Join(members, ", ")), nil
}

// option returns what Scala prints of an Option.
func option(s *string) string {
	if s == nil {
		return "None"
	}
	return "Some(" + *s + ")"
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// transactionStates are the names of the states of a transaction, by number.
var transactionStates = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort",
	"Dead", "PrepareEpochFence"}

func formatTransaction(dst []byte, r *kgo.Record) ([]byte, error) {
	if r.Key == nil {
		return dst, nil
	}
	if v := coordinatorjson.Version(r.Key); v != transactionKey {
		return fmt.Appendf(dst, "unknown::version=%d\n", v), nil
	}
	key := kmsg.NewTxnMetadataKey()
	if err := read(&key, r.Key, "TransactionLogKey"); err != nil {
		return dst, err
	}
	dst = append(append(dst, key.TransactionalID...), "::"...)
	if r.Value == nil {
		return append(dst, "NULL\n"...), nil
	}
	value := kmsg.NewTxnMetadataValue()
	if err := read(&value, r.Value, "TransactionLogValue"); err != nil {
		return dst, err
	}
	state := fmt.Sprint(int8(value.State))
	if i := int(value.State); i >= 0 && i < len(transactionStates) {
		state = transactionStates[i]
	}
	var partitions []string
	for _, t := range value.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, fmt.Sprintf("%s-%d", t.Topic, p))
		}
	}
	return fmt.Appendf(dst, "TransactionMetadata(transactionalId=%s, producerId=%d, producerEpoch=%d, txnTimeoutMs=%d, state=%s, "+
		"pendingState=None, topicPartitions=HashSet(%s), txnStartTimestamp=%d, txnLastUpdateTimestamp=%d)\n",
		key.TransactionalID, value.ProducerID, value.ProducerEpoch, value.TimeoutMillis, state, strings.Join(partitions, ", "),
		value.StartTimestamp, value.LastUpdateTimestamp), nil
}
