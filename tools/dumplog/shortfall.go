package dumplog

import (
	"encoding/binary"
	"errors"

	"github.com/gregor-mq/gregor/tools/internal/coordinatorjson"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// field is a field of a message of Kafka's, in its classic encoding.
type field struct {
	name string
	kind byte // 'i' int32, 'l' int64, 's' string, 'n' string or null
}

// errShort is a buffer that ends within a number or a size: an exception of Java's that has no message.
var errShort = errors.New("null")

// shortfall returns what keeps Kafka from reading from b, in which fields, or what follows them, does not fit.
func shortfall(b []byte, fields []field) error {
	for _, f := range fields {
		size := map[byte]int{'i': 4, 'l': 8}[f.kind]
		if size == 0 {
			if len(b) < 2 {
				return errShort
			}
			size, b = int(int16(binary.BigEndian.Uint16(b))), b[2:]
			switch {
			case size < 0 && f.kind == 's':
				return throwable.Newf(throwable.Runtime, "non-nullable field %s was serialized as null", f.name)
			case size > len(b):
				return throwable.Newf(throwable.Runtime, "Error reading byte array of %d byte(s): only %d byte(s) available", size, len(b))
			}
			size = max(0, size)
		}
		if size > len(b) {
			return errShort
		}
		b = b[size:]
	}
	return errShort
}

// keyFields are the fields of a key of __consumer_offsets, behind its version.
func keyFields(kind int16) []field {
	if kind == coordinatorjson.GroupKeyVersion {
		return []field{{"group", 's'}}
	}
	return []field{{"group", 's'}, {"topic", 's'}, {"partition", 'i'}}
}

// valueFields are the fields of a value of __consumer_offsets of one of the versions 0 to 3, behind its version; of a group, what
// comes before its members.
func valueFields(kind, version int16) []field {
	if kind == coordinatorjson.GroupKeyVersion {
		fields := []field{{"protocolType", 's'}, {"generation", 'i'}, {"protocol", 'n'}, {"leader", 'n'}}
		if version >= 2 {
			fields = append(fields, field{"currentStateTimestamp", 'l'})
		}
		return fields
	}
	fields := []field{{"offset", 'l'}}
	if version >= 3 {
		fields = append(fields, field{"leaderEpoch", 'i'})
	}
	fields = append(fields, field{"metadata", 's'}, field{"commitTimestamp", 'l'})
	if version == 1 {
		fields = append(fields, field{"expireTimestamp", 'l'})
	}
	return fields
}
