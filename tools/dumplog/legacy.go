package dumplog

import (
	"encoding/binary"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Where the size of the key of a message is (LegacyRecord). The value's is behind the key.
const (
	keySizeV0 = record.OverheadSize + 6
	keySizeV1 = record.OverheadSize + 14
)

func keyPosition(message record.Batch) int {
	if message.Magic() == record.MagicV0 {
		return keySizeV0
	}
	return keySizeV1
}

// sizes returns the sizes of key and value, -1 for null. As they stand in a message of an old format they need not be right.
func (r *recordOf) sizes() (key, value int32, err error) {
	if r.legacy == nil {
		return size(r.Key), size(r.Value), nil
	}
	at := keyPosition(r.legacy)
	if key, err = int32At(r.legacy, at); err == nil {
		value, err = int32At(r.legacy, at+4+max(0, int(key)))
	}
	return key, value, err
}

func size(field []byte) int32 {
	if field == nil {
		return -1
	}
	return int32(len(field))
}

// loadLegacy reads key and value of a message of an old format.
func (r *recordOf) loadLegacy() (err error) {
	if r.legacy == nil {
		return nil
	}
	if r.Key, err = sizedAt(r.legacy, keyPosition(r.legacy)); err == nil {
		r.Value, err = legacyValue(r.legacy)
	}
	return err
}

func legacyValue(message record.Batch) ([]byte, error) {
	at := keyPosition(message)
	key, err := int32At(message, at)
	if err != nil {
		return nil, err
	}
	return sizedAt(message, at+4+max(0, int(key)))
}

func int32At(b []byte, at int) (int32, error) {
	if at+4 > len(b) {
		return 0, throwable.New(throwable.IndexOutOfBounds, "")
	}
	return int32(binary.BigEndian.Uint32(b[at:])), nil
}

// sizedAt returns the bytes whose size stands at a position, nil if it is negative.
func sizedAt(b []byte, at int) ([]byte, error) {
	size, err := int32At(b, at)
	if err != nil || size < 0 {
		return nil, err
	}
	if b = b[at+4:]; int(size) > len(b) {
		return nil, throwable.Newf(throwable.IllegalArgument, "newLimit > capacity: (%d > %d)", size, len(b))
	}
	return b[:size:size], nil
}
