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

// ParseSnapshot reads the content of a snapshot file. Errors match ErrCorruptSnapshot.
func ParseSnapshot(data []byte) ([]Entry, error) {
	if len(data) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorruptSnapshot, len(data))
	}
	if v := int16(binary.BigEndian.Uint16(data)); v != snapshotVersion {
		return nil, fmt.Errorf("%w: unknown file version %d", ErrCorruptSnapshot, v)
	}
	stored := binary.BigEndian.Uint32(data[crcOffset:])
	if sum := crc32.Checksum(data[countOffset:], castagnoli); sum != stored {
		return nil, fmt.Errorf("%w: stored crc: %d. Computed crc: %d", ErrCorruptSnapshot, stored, sum)
	}
	count := int32(binary.BigEndian.Uint32(data[countOffset:]))
	body := data[headerSize:]
	if count < 0 || int64(len(body)) < int64(count)*entrySize {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", ErrCorruptSnapshot, count, len(body))
	}
	entries := make([]Entry, count)
	for i := range entries {
		entries[i] = parseEntry(body[i*entrySize:])
	}
	return entries, nil
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
