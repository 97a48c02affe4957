package segment

import (
	"errors"
	"io"

	"github.com/gregor-mq/gregor/broker/record"
)

// Scan reads the log file from the batch that holds offset on, as far as it goes at that moment, and calls f with what
// it has read, as much at a time as *buf takes. f returns how much of that it has taken, whole batches from the
// beginning on, and gets the rest again with what follows. If that is nothing, *buf grows to hold the next batch. An
// error of f ends the scan and is returned; ErrCorrupt means that what is left of the file is no whole batch.
func (s *Segment) Scan(offset int64, buf *[]byte, f func(chunk []byte) (used int, err error)) error {
	pos, size, err := s.locate(offset)
	if err != nil || pos >= size {
		return s.wrap("read", err)
	}
	h, err := s.log.Acquire()
	if err != nil {
		return s.wrap("read", err)
	}
	defer h.Release()
	for pos < size {
		chunk := (*buf)[:min(int64(len(*buf)), size-pos)]
		if err := readFull(h, chunk, pos); err != nil {
			return s.wrap("read", err)
		}
		used, err := f(chunk)
		if err != nil {
			return err
		}
		pos += int64(used)
		if used > 0 {
			continue
		}
		need, err := record.PeekSize(chunk)
		switch {
		case errors.Is(err, record.ErrShort) && len(chunk) < record.PeekLen && size-pos > int64(len(chunk)):
			need = record.PeekLen
		case err != nil:
			return s.wrap("read", corruptAt(pos, err))
		case int64(need) > size-pos || need <= len(chunk):
			return s.wrap("read", corruptAt(pos, io.ErrUnexpectedEOF))
		}
		if need > largeBatch { // a flipped bit in the size must not cost memory
			if err := compareChecksum(h, pos, int64(need)); err != nil {
				return s.wrap("read", err)
			}
		}
		*buf = make([]byte, need)
	}
	return nil
}
