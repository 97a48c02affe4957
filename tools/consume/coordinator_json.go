package consume

import (
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/coordinatorjson"
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
		v := coordinatorjson.Version(r.Value)
		data, err := value(v, r.Value)
		if err != nil {
			return dst, err
		}
		printed.Value = &versioned{v, data}
	}
	text, err := coordinatorjson.Marshal(printed)
	return append(dst, text...), err
}

func formatOffsetJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	var printedKey *versioned
	if r.Key != nil {
		v := coordinatorjson.Version(r.Key)
		switch {
		case v == coordinatorjson.GroupKeyVersion:
			return dst, nil
		case v < 0 || v > coordinatorjson.OffsetKeyMax:
			printedKey = &versioned{v, unknown}
		default:
			key, err := coordinatorjson.DecodeOffsetKey(r.Key)
			if err != nil {
				return dst, malformed("OffsetCommitKey", err)
			}
			printedKey = &versioned{v, key}
		}
	}
	return appendJSON(dst, r, printedKey, func(v int16, field []byte) (any, error) {
		if v < 0 || v > coordinatorjson.ValueMax {
			return unknown, nil
		}
		value, err := coordinatorjson.DecodeOffset(field)
		if err != nil {
			return nil, malformed("OffsetCommitValue", err)
		}
		return value, nil
	})
}

func formatGroupJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	var printedKey *versioned
	if r.Key != nil {
		v := coordinatorjson.Version(r.Key)
		switch {
		case v >= 0 && v <= coordinatorjson.OffsetKeyMax:
			if _, err := coordinatorjson.DecodeOffsetKey(r.Key); err != nil {
				return dst, malformed("OffsetCommitKey", err)
			}
			return dst, nil
		case v != coordinatorjson.GroupKeyVersion:
			printedKey = &versioned{v, unknown}
		default:
			key, err := coordinatorjson.DecodeGroupKey(r.Key)
			if err != nil {
				return dst, malformed("GroupMetadataKey", err)
			}
			printedKey = &versioned{v, key}
		}
	}
	return appendJSON(dst, r, printedKey, func(v int16, field []byte) (any, error) {
		if v < 0 || v > coordinatorjson.ValueMax {
			return unknown, nil
		}
		value, err := coordinatorjson.DecodeGroup(field)
		if err != nil {
			return nil, malformed("GroupMetadataValue", err)
		}
		return value, nil
	})
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
		printedKey = &versioned{coordinatorjson.Version(r.Key), unknown}
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
