package checkpoint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// PartitionMetadata is the name of the file with a replica's topic id (PartitionMetadataFile,
// KIP-516). It has two lines, the last without an end:
//
//	version: 0
//	topic_id: ASNFZ4mrze-BI0VniavN7w
const PartitionMetadata = "partition.metadata"

// AppendPartitionMetadata appends the content of the file for a topic to dst.
func AppendPartitionMetadata(dst []byte, id topic.ID) []byte {
	return fmt.Appendf(dst, "version: %d\ntopic_id: %s", textVersion, id)
}

// ParsePartitionMetadata reads the topic id. Versions above ours are read alike, so that a broker
// can be downgraded. Errors match ErrMalformed.
func ParsePartitionMetadata(data []byte) (topic.ID, error) {
	lines := splitLines(string(data))
	if len(lines) < 2 {
		return topic.ID{}, fmt.Errorf("%w: %d lines", ErrMalformed, len(lines))
	}
	version, err := secondField(lines[0])
	if err != nil {
		return topic.ID{}, err
	}
	if v, err := parseInt32(version); err != nil || v < textVersion {
		return topic.ID{}, fmt.Errorf("%w: version %q", ErrMalformed, version)
	}
	text, err := secondField(lines[1])
	if err != nil {
		return topic.ID{}, err
	}
	id, err := topic.ParseID(text)
	if err != nil {
		return topic.ID{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if id.IsZero() {
		return topic.ID{}, fmt.Errorf("%w: topic id is zero", ErrMalformed)
	}
	return id, nil
}

// secondField returns what follows the blank in a line of two words.
func secondField(line string) (string, error) {
	f := strings.Fields(line)
	if len(f) != 2 {
		return "", fmt.Errorf("%w: line %q", ErrMalformed, line)
	}
	return f[1], nil
}

// ReadPartitionMetadata reads a partition.metadata; false if the file does not exist.
func ReadPartitionMetadata(fsys vfs.FS, path string) (topic.ID, bool, error) {
	data, exists, err := readOptional(fsys, path)
	if err != nil || !exists {
		return topic.ID{}, false, err
	}
	id, err := ParsePartitionMetadata(data)
	return id, err == nil, inFile(path, err)
}

// NotePartitionMetadata writes the content that the partition.metadata at path is to have beside it, without making it durable:
// it outlives the process, and no power loss. vfs.WriteFile of path takes its place.
func NotePartitionMetadata(fsys vfs.FS, path string, id topic.ID) error {
	return vfs.WriteDraft(fsys, path, AppendPartitionMetadata(nil, id))
}

// ReadNotedPartitionMetadata reads what NotePartitionMetadata has written for path; false if there is nothing, or not all of it.
func ReadNotedPartitionMetadata(fsys vfs.FS, path string) (topic.ID, bool, error) {
	id, ok, err := ReadPartitionMetadata(fsys, vfs.Draft(path))
	if errors.Is(err, ErrMalformed) {
		return topic.ID{}, false, nil
	}
	return id, ok, err
}
