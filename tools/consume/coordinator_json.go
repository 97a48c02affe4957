package consume

import (
	"bytes"
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The records of the brokers' own topics as Kafka 3.9's formatters print them: JSON with the field names of
// Kafka's schemas, without anything between two records. Records of another kind are left out.

// versioned is a key or value with its version; an unknown version has "unknown" for data.
type versioned struct {
	Version int16 `json:"version"`
	Data    any   `json:"data"`
}

type keyValue struct {
	Key   *versioned `json:"key"`
	Value *versioned `json:"value"`
}

const unknown = "unknown"

// appendJSON appends the JSON of a record with value, which value makes of the record's if that is not null.
func appendJSON(dst []byte, r *kgo.Record, key *versioned, value func(version int16, field []byte) (any, error)) ([]byte, error) {
	printed := keyValue{Key: key}
	if r.Value != nil {
		v := version(r.Value)
		data, err := value(v, r.Value)
		if err != nil {
			return dst, err
		}
		printed.Value = &versioned{v, data}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(printed); err != nil {
		return dst, err
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...), nil
}

type offsetKeyJSON struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

type offsetJSON struct {
	Offset          int64  `json:"offset"`
	LeaderEpoch     *int32 `json:"leaderEpoch,omitempty"`
	Metadata        string `json:"metadata"`
	CommitTimestamp int64  `json:"commitTimestamp"`
	ExpireTimestamp *int64 `json:"expireTimestamp,omitempty"`
}

func formatOffsetJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	var printedKey *versioned
	if r.Key != nil {
		v := version(r.Key)
		switch {
		case v == groupKey:
			return dst, nil
		case v < 0 || v > offsetKeyMax:
			printedKey = &versioned{v, unknown}
		default:
			key := kmsg.NewOffsetCommitKey()
			if err := read(&key, r.Key, "OffsetCommitKey"); err != nil {
				return dst, err
			}
			printedKey = &versioned{v, offsetKeyJSON{key.Group, key.Topic, key.Partition}}
		}
	}
	return appendJSON(dst, r, printedKey, func(v int16, field []byte) (any, error) {
		if v < 0 || v > 4 {
			return unknown, nil
		}
		value := kmsg.NewOffsetCommitValue()
		if err := read(&value, field, "OffsetCommitValue"); err != nil {
			return nil, err
		}
		printed := offsetJSON{Offset: value.Offset, Metadata: value.Metadata, CommitTimestamp: value.CommitTimestamp}
		if v >= 3 {
			printed.LeaderEpoch = &value.LeaderEpoch
		}
		if v == 1 {
			printed.ExpireTimestamp = &value.ExpireTimestamp
		}
		return printed, nil
	})
}

type groupKeyJSON struct {
	Group string `json:"group"`
}

type groupJSON struct {
	ProtocolType          string       `json:"protocolType"`
	Generation            int32        `json:"generation"`
	Protocol              *string      `json:"protocol"`
	Leader                *string      `json:"leader"`
	CurrentStateTimestamp *int64       `json:"currentStateTimestamp,omitempty"`
	Members               []memberJSON `json:"members"`
}

// memberJSON is a member of a group from version 3 on; older ones lack fields.
type memberJSON struct {
	MemberID         string           `json:"memberId"`
	GroupInstanceID  *json.RawMessage `json:"groupInstanceId,omitempty"`
	ClientID         string           `json:"clientId"`
	ClientHost       string           `json:"clientHost"`
	RebalanceTimeout *int32           `json:"rebalanceTimeout,omitempty"`
	SessionTimeout   int32            `json:"sessionTimeout"`
	Subscription     []byte           `json:"subscription"`
	Assignment       []byte           `json:"assignment"`
}

func formatGroupJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	var printedKey *versioned
	if r.Key != nil {
		v := version(r.Key)
		switch {
		case v >= 0 && v <= offsetKeyMax:
			return dst, nil
		case v != groupKey:
			printedKey = &versioned{v, unknown}
		default:
			key := kmsg.NewGroupMetadataKey()
			if err := read(&key, r.Key, "GroupMetadataKey"); err != nil {
				return dst, err
			}
			printedKey = &versioned{v, groupKeyJSON{key.Group}}
		}
	}
	return appendJSON(dst, r, printedKey, func(v int16, field []byte) (any, error) {
		if v < 0 || v > 4 {
			return unknown, nil
		}
		value := kmsg.NewGroupMetadataValue()
		if err := read(&value, field, "GroupMetadataValue"); err != nil {
			return nil, err
		}
		return newGroupJSON(value)
	})
}

func newGroupJSON(value kmsg.GroupMetadataValue) (any, error) {
	printed := groupJSON{ProtocolType: value.ProtocolType, Generation: value.Generation, Protocol: value.Protocol,
		Leader: value.Leader, Members: []memberJSON{}}
	if value.Version >= 2 {
		printed.CurrentStateTimestamp = &value.CurrentStateTimestamp
	}
	for _, m := range value.Members {
		member := memberJSON{MemberID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			SessionTimeout: m.SessionTimeoutMillis, Subscription: m.Subscription, Assignment: m.Assignment}
		if value.Version >= 1 {
			member.RebalanceTimeout = &m.RebalanceTimeoutMillis
		}
		if value.Version >= 3 {
			id, err := json.Marshal(m.InstanceID)
			if err != nil {
				return nil, err
			}
			member.GroupInstanceID = (*json.RawMessage)(&id)
		}
		printed.Members = append(printed.Members, member)
	}
	return printed, nil
}

type transactionKeyJSON struct {
	TransactionalID string `json:"transactionalId"`
}

type transactionJSON struct {
	ProducerID    int64                      `json:"producerId"`
	ProducerEpoch int16                      `json:"producerEpoch"`
	TimeoutMillis int32                      `json:"transactionTimeoutMs"`
	Status        int8                       `json:"transactionStatus"`
	Partitions    []transactionPartitionJSON `json:"transactionPartitions"`
	LastUpdate    int64                      `json:"transactionLastUpdateTimestampMs"`
	Start         int64                      `json:"transactionStartTimestampMs"`
}

type transactionPartitionJSON struct {
	Topic        string  `json:"topic"`
	PartitionIDs []int32 `json:"partitionIds"`
}

func formatTransactionJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	var printedKey *versioned
	if r.Key != nil {
		printedKey = &versioned{version(r.Key), unknown}
		if printedKey.Version == transactionKey {
			key := kmsg.NewTxnMetadataKey()
			if err := read(&key, r.Key, "TransactionLogKey"); err != nil {
				return dst, err
			}
			printedKey.Data = transactionKeyJSON{key.TransactionalID}
		}
	}
	return appendJSON(dst, r, printedKey, func(v int16, field []byte) (any, error) {
		if v < 0 || v > 1 {
			return unknown, nil
		}
		value := kmsg.NewTxnMetadataValue()
		if err := read(&value, field, "TransactionLogValue"); err != nil {
			return nil, err
		}
		printed := transactionJSON{ProducerID: value.ProducerID, ProducerEpoch: value.ProducerEpoch,
			TimeoutMillis: value.TimeoutMillis, Status: int8(value.State), LastUpdate: value.LastUpdateTimestamp, Start: value.StartTimestamp}
		if value.State != 0 {
			printed.Partitions = []transactionPartitionJSON{} // null in state Empty only
		}
		for _, t := range value.Topics {
			printed.Partitions = append(printed.Partitions, transactionPartitionJSON{t.Topic, t.Partitions})
		}
		return printed, nil
	})
}
