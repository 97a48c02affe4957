package checkpoint

import (
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Names of the offset checkpoints in a log directory (LogManager, ReplicaManager).
const (
	RecoveryPoints = "recovery-point-offset-checkpoint"
	LogStarts      = "log-start-offset-checkpoint"
	HighWatermarks = "replication-offset-checkpoint"
	Cleaner        = "cleaner-offset-checkpoint"
)

// Offsets maps partitions to offsets, the content of an offset checkpoint (OffsetCheckpointFile).
type Offsets map[topic.Partition]int64

// AppendTo appends the file's content to dst, ordered by partition.
func (o Offsets) AppendTo(dst []byte) []byte {
	dst = appendHead(dst, len(o))
	for _, p := range slices.SortedFunc(maps.Keys(o), topic.Partition.Compare) {
		dst = append(dst, p.Topic...)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, int64(p.Index), 10)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, o[p], 10)
		dst = append(dst, '\n')
	}
	return dst
}

// ParseOffsets reads the content of an offset checkpoint. Of two lines for one partition the later
// counts. Errors match ErrMalformed.
func ParseOffsets(data []byte) (Offsets, error) {
	o := Offsets{}
	err := parseText(data, 3, func(f []string) error {
		index, err := parseInt32(f[1])
		offset, err2 := strconv.ParseInt(f[2], 10, 64)
		o[topic.Partition{Topic: f[0], Index: index}] = offset
		return errors.Join(err, err2)
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// ReadOffsets reads an offset checkpoint; a file that does not exist has no entries.
func ReadOffsets(fsys vfs.FS, path string) (Offsets, error) {
	data, _, err := readOptional(fsys, path)
	if err != nil {
		return nil, err
	}
	o, err := ParseOffsets(data)
	return o, inFile(path, err)
}

// WriteOffsets replaces an offset checkpoint.
func WriteOffsets(fsys vfs.FS, path string, o Offsets) error {
	return vfs.WriteFile(fsys, path, o.AppendTo(nil))
}
