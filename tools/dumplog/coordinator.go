package dumplog

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/coordinatorjson"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// deleted is printed for a tombstone.
const deleted = "<DELETE>"

// parseOffsets prints a record of __consumer_offsets. Records of the new group protocol, which a cluster with ZooKeeper
// never has, are of an unknown type to it.
func parseOffsets(r *record.Record) (printed, error) {
	if r.Key == nil {
		return printed{}, throwable.Newf(throwable.Runtime, "Failed to decode message at offset %d using offset topic decoder "+
			"(message had a missing key)", r.Offset)
	}
	kind := coordinatorjson.Version(r.Key)
	if len(r.Key) >= 2 && (kind < 0 || kind > coordinatorjson.GroupKeyVersion) {
		return printed{key: fmt.Appendf(nil, "Unknown record type %d at offset %d, skipping.", kind, r.Offset)}, nil
	}
	key, err := offsetsKey(kind, r.Key)
	if err != nil {
		return skipped(r, err), nil
	}
	payload := []byte(deleted)
	if r.Value != nil {
		if payload, err = offsetsValue(kind, r.Value); err != nil {
			return skipped(r, err), nil
		}
	}
	return printed{key, payload}, nil
}

func skipped(r *record.Record, err error) printed {
	return printed{key: fmt.Appendf(nil, "Error at offset %d, skipping. %v", r.Offset, err)}
}

// typed is a key as Kafka prints it.
type typed struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

// versioned is a value as Kafka prints it.
type versioned struct {
	Version string `json:"version"`
	Data    any    `json:"data"`
}

func offsetsKey(kind int16, field []byte) ([]byte, error) {
	if len(field) < 2 {
		return nil, errNoVersion("key")
	}
	var data any
	var err error
	if kind == coordinatorjson.GroupKeyVersion {
		data, err = coordinatorjson.DecodeGroupKey(field)
	} else {
		data, err = coordinatorjson.DecodeOffsetKey(field)
	}
	if err != nil {
		return nil, errUnreadable("key", kind, shortfall(field[2:], keyFields(kind)))
	}
	return coordinatorjson.Marshal(typed{fmt.Sprint(kind), data})
}

func offsetsValue(kind int16, field []byte) ([]byte, error) {
	if len(field) < 2 {
		return nil, errNoVersion("value")
	}
	version := coordinatorjson.Version(field)
	var data any
	var err error
	if kind == coordinatorjson.GroupKeyVersion {
		var group coordinatorjson.Group
		group, err = coordinatorjson.DecodeGroup(field)
		group.DecodeMembers()
		data = group
	} else {
		data, err = coordinatorjson.DecodeOffset(field)
	}
	if err != nil {
		return nil, errUnreadable("value", version, shortfall(field[2:], valueFields(kind, version)))
	}
	return coordinatorjson.Marshal(versioned{fmt.Sprint(version), data})
}

func errNoVersion(field string) error {
	return throwable.Newf(throwable.Runtime, "Could not read version from %s's buffer.", field)
}

func errUnreadable(field string, version int16, err error) error {
	return throwable.Newf(throwable.Runtime, "Could not read record with version %d from %s's buffer due to: %v.", version, field, err)
}

// transactionStates are the names of the states of a transaction, by number.
var transactionStates = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort",
	"Dead", "PrepareEpochFence"}

// parseTransaction prints a record of __transaction_state.
func parseTransaction(r *record.Record) (printed, error) {
	switch {
	case r.Key == nil:
		return printed{}, throwable.New("java.lang.NullPointerException", `Cannot invoke "java.nio.ByteBuffer.getShort()" because "buffer" is null`)
	case len(r.Key) < 2:
		return printed{}, throwable.New("java.nio.BufferUnderflowException", "")
	}
	if version := coordinatorjson.Version(r.Key); version != 0 {
		return printed{key: fmt.Appendf(nil, "unknown::version=%d", version)}, nil
	}
	key := kmsg.NewTxnMetadataKey()
	if err := key.ReadFrom(r.Key); err != nil {
		return printed{}, throwable.Newf(throwable.Runtime, "Error reading TransactionLogKey: %v", err)
	}
	p := printed{key: []byte("transaction_metadata::transactionalId=" + key.TransactionalID), payload: []byte(deleted)}
	if r.Value == nil {
		return p, nil
	}
	version := coordinatorjson.Version(r.Value)
	if version < 0 || version > 1 {
		return printed{}, throwable.Newf(throwable.IllegalState, "Unknown version %d from the transaction log message value", version)
	}
	value := kmsg.NewTxnMetadataValue()
	if err := value.ReadFrom(r.Value); err != nil {
		return printed{}, throwable.Newf(throwable.Runtime, "Error reading TransactionLogValue: %v", err)
	}
	if value.State < 0 || int(value.State) >= len(transactionStates) {
		return printed{}, throwable.Newf(throwable.IllegalState, "Unknown transaction state id %d from the transaction status message", value.State)
	}
	p.payload = fmt.Appendf(nil, "producerId:%d,producerEpoch:%d,state=%s,partitions=%s,txnLastUpdateTimestamp=%d,txnTimeoutMs=%d",
		value.ProducerID, value.ProducerEpoch, transactionStates[value.State], partitionsOf(value), value.LastUpdateTimestamp, value.TimeoutMillis)
	return p, nil
}

// partitionsOf lists the partitions of a transaction in the order of a set of Scala's.
func partitionsOf(value kmsg.TxnMetadataValue) []byte {
	var all []topic.Partition
	if value.State != 0 { // an empty transaction has none
		for _, t := range value.Topics {
			for _, p := range t.Partitions {
				all = append(all, topic.Partition{Topic: t.Topic, Index: p})
			}
		}
	}
	javamap.SortScala(all, javamap.HashPartition)
	list := []byte{'['}
	for i, p := range all {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, p.String()...)
	}
	return append(list, ']')
}
