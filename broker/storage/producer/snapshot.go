package producer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Layout of a snapshot file; see the package.
const (
	snapshotVersion = 1
	crcOffset       = 2
	countOffset     = 6
	headerSize      = 10
	entrySize       = 46
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendSnapshot appends the content of a snapshot file to dst, producers ordered by id.
func (s *State) AppendSnapshot(dst []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, snapshotVersion)
	dst = append(dst, 0, 0, 0, 0) // checksum, patched below
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.producers)))
	for e := range s.All() {
		dst = appendEntry(dst, &e)
	}
	sum := crc32.Checksum(dst[start+countOffset:], castagnoli)
	binary.BigEndian.PutUint32(dst[start+crcOffset:], sum)
	return dst
}

func appendEntry(dst []byte, e *Entry) []byte {
	last, _ := e.LastBatch()
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.ID))
	dst = binary.BigEndian.AppendUint16(dst, uint16(e.Epoch))
	dst = binary.BigEndian.AppendUint32(dst, uint32(last.LastSequence))
	dst = binary.BigEndian.AppendUint64(dst, uint64(last.LastOffset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(last.Delta))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Timestamp))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.CoordinatorEpoch))
	return binary.BigEndian.AppendUint64(dst, uint64(e.TxnFirstOffset))
}

// ParseSnapshot reads the content of a snapshot file. Errors are *Error and match ErrCorruptSnapshot.
func ParseSnapshot(data []byte) ([]Entry, error) {
	if err := checkLayout(data); err != nil {
		return nil, err
	}
	if v := int16(binary.BigEndian.Uint16(data)); v != snapshotVersion {
		return nil, corrupt("Snapshot contained an unknown file version %d", v)
	}
	stored := binary.BigEndian.Uint32(data[crcOffset:])
	if sum := crc32.Checksum(data[countOffset:], castagnoli); sum != stored {
		return nil, corrupt("Snapshot is corrupt (CRC is no longer valid). Stored crc: %d. Computed crc: %d", stored, sum)
	}
	entries := make([]Entry, binary.BigEndian.Uint32(data[countOffset:]))
	for i := range entries {
		entries[i] = parseEntry(data[headerSize+i*entrySize:])
	}
	return entries, nil
}

// fields are the names and sizes of an entry's fields in Kafka's schema, which errors mention.
var fields = [...]struct {
	name string
	size int
}{
	{"producer_id", 8}, {"epoch", 2}, {"last_sequence", 4}, {"last_offset", 8}, {"offset_delta", 4}, {"timestamp", 8},
	{"coordinator_epoch", 4}, {"current_txn_first_offset", 8},
}

// checkLayout returns an error if data is too short for what it says it holds.
func checkLayout(data []byte) error {
	const missing = "java.nio.BufferUnderflowException" // for want of a better text of Kafka's
	switch {
	case len(data) < crcOffset:
		return corruptField("version", missing)
	case len(data) < countOffset:
		return corruptField("crc", missing)
	case len(data) < headerSize:
		return corruptField("producer_entries", missing)
	}
	count, left := int32(binary.BigEndian.Uint32(data[countOffset:])), len(data)-headerSize
	switch {
	case count < 0:
		return corruptField("producer_entries", fmt.Sprintf("Array size %d cannot be negative", count))
	case int(count) > left:
		return corruptField("producer_entries", fmt.Sprintf("Error reading array of size %d, only %d bytes available", count, left))
	case left >= int(count)*entrySize:
		return nil
	}
	left %= entrySize
	for _, f := range fields {
		if left < f.size {
			return corruptField("producer_entries", fmt.Sprintf("Error reading field '%s': %s", f.name, missing))
		}
		left -= f.size
	}
	return nil
}

func corruptField(name, why string) error {
	return corrupt("Snapshot failed schema validation: Error reading field '%s': %s", name, why)
}

func corrupt(format string, args ...any) error {
	return &Error{Err: ErrCorruptSnapshot, Message: fmt.Sprintf(format, args...)}
}

// parseEntry reads one entry from b, which is long enough.
func parseEntry(b []byte) Entry {
	e := Entry{
		ID:               int64(binary.BigEndian.Uint64(b)),
		Epoch:            int16(binary.BigEndian.Uint16(b[8:])),
		Timestamp:        int64(binary.BigEndian.Uint64(b[26:])),
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(b[34:])),
		TxnFirstOffset:   max(int64(binary.BigEndian.Uint64(b[38:])), none),
	}
	last := Batch{
		LastSequence: int32(binary.BigEndian.Uint32(b[10:])),
		LastOffset:   int64(binary.BigEndian.Uint64(b[14:])),
		Delta:        int32(binary.BigEndian.Uint32(b[22:])),
		Timestamp:    e.Timestamp,
	}
	if last.LastOffset >= 0 {
		e.batches[0], e.count = last, 1
	}
	return e
}
