package history

import (
	"fmt"
	"strconv"

	"github.com/gregor-mq/gregor/broker/record"
)

// Records of compacted topics have keys, and some of them are tombstones. Both follow from a record's number, so that
// a history need not tell them: of each oftenKeys records of a producer, one has a key that it never writes again, and
// which compaction must keep for good; the others are the next versions of keys that all producers write. Each of these is
// deleted in every deletedEvery-th round.
const (
	oftenKeys    = 40
	deletedEvery = 5
)

// NoteHeader is the header of a tombstone that says what Value would have said.
const NoteHeader = "deletes"

// Key returns the key of a record of a compacted topic.
func Key(id ID) string {
	round, key := id.Sequence/oftenKeys, id.Sequence%oftenKeys
	if key == 0 {
		return "once-" + strconv.Itoa(int(round))
	}
	return "often-" + strconv.Itoa(int(key))
}

// Deletes reports whether a record of a compacted topic is a tombstone.
func Deletes(id ID) bool {
	round, key := id.Sequence/oftenKeys, id.Sequence%oftenKeys
	return key != 0 && (round+key)%deletedEvery == deletedEvery-1
}

// ParseRecord returns whose record this is. A record with a key is one of a compacted topic; a tombstone has its note, the
// value of NoteHeader, instead of a value.
func ParseRecord(key, value, note []byte) (Partition, ID, error) {
	if value == nil {
		value = note
	} else {
		note = nil
	}
	p, id, err := Parse(value)
	if err == nil && key != nil && (string(key) != Key(id) || Deletes(id) != (note != nil)) {
		err = fmt.Errorf("%v is the key of %d of producer %d, deleted: %v", string(key), id.Sequence, id.Producer, note != nil)
	}
	return p, id, err
}

// ParseStored is ParseRecord of a record as brokers store it.
func ParseStored(rec record.Record) (Partition, ID, error) {
	var note []byte
	for key, value := range rec.Headers.All() {
		if string(key) == NoteHeader {
			note = value
		}
	}
	return ParseRecord(rec.Key, rec.Value, note)
}
