package checkpoint

import (
	"errors"
	"strconv"

	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// LeaderEpochs is the name of a replica's file of leader epochs (LeaderEpochCheckpointFile).
const LeaderEpochs = "leader-epoch-checkpoint"

// AppendEpochs appends the content of a leader epoch checkpoint to dst.
func AppendEpochs(dst []byte, entries []epoch.Entry) []byte {
	dst = appendHead(dst, len(entries))
	for _, e := range entries {
		dst = strconv.AppendInt(dst, int64(e.Epoch), 10)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, e.Start, 10)
		dst = append(dst, '\n')
	}
	return dst
}

// ParseEpochs reads the content of a leader epoch checkpoint, in the file's order. Errors match
// ErrMalformed.
func ParseEpochs(data []byte) ([]epoch.Entry, error) {
	var entries []epoch.Entry
	err := parseText(data, 2, func(f []string) error {
		e, err := parseInt32(f[0])
		start, err2 := strconv.ParseInt(f[1], 10, 64)
		entries = append(entries, epoch.Entry{Epoch: e, Start: start})
		return errors.Join(err, err2)
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// ReadEpochs reads a leader epoch checkpoint; a file that does not exist has no entries.
func ReadEpochs(fsys vfs.FS, path string) ([]epoch.Entry, error) {
	data, _, err := readOptional(fsys, path)
	if err != nil {
		return nil, err
	}
	entries, err := ParseEpochs(data)
	return entries, inFile(path, err)
}
