package segment

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A size with a flipped bit may name nearly all that is left of a segment.
func TestScanChecksLargeBatchesFirst(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(0)
	large := batch(t, 1, largeBatch+1000, 5)
	must(t, s.Append(batch(t, 0, 10, 5)))
	must(t, s.Append(large))

	const room = 64 << 10
	buf, batches := make([]byte, room), 0
	take := func(chunk []byte) (used int, err error) {
		for {
			_, rest, err := record.Next(chunk[used:])
			if err != nil {
				return used, nil
			}
			batches, used = batches+1, len(chunk)-len(rest)
		}
	}
	must(t, s.Scan(0, &buf, take))
	if batches != 2 || len(buf) != len(large) {
		t.Errorf("%d batches in a buffer of %d bytes, want 2 of at most %d", batches, len(buf), len(large))
	}

	overwrite(t, e.fs, LogExt, func(f vfs.File) error {
		_, err := f.WriteAt(binary.BigEndian.AppendUint32(nil, largeBatch+500), 8)
		return err
	})
	buf = make([]byte, room)
	if err := s.Scan(0, &buf, take); !errors.Is(err, ErrCorrupt) || len(buf) > room {
		t.Errorf("a size that is wrong gives %v, and a buffer of %d bytes", err, len(buf))
	}
}
