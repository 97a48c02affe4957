package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// AbortedTxn is an entry of the transaction index: a transaction that was aborted and has records in
// the log (AbortedTxn.java).
type AbortedTxn struct {
	ProducerID       int64
	FirstOffset      int64
	LastOffset       int64 // of the abort marker
	LastStableOffset int64 // of the log when the marker was written
}

// AbortedTxnSize is the size of an entry of the transaction index in bytes.
const AbortedTxnSize = 34

const (
	txnWidth   = AbortedTxnSize
	txnVersion = 0
)

// AppendTo appends the entry's bytes to dst.
func (t AbortedTxn) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, txnVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.ProducerID))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.FirstOffset))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.LastOffset))
	return binary.BigEndian.AppendUint64(dst, uint64(t.LastStableOffset))
}

// ParseAborted reads an entry from its 34 bytes. Errors match ErrCorrupt.
func ParseAborted(e []byte) (AbortedTxn, error) {
	if len(e) < txnWidth {
		return AbortedTxn{}, fmt.Errorf("%w: %d bytes of an aborted transaction", ErrCorrupt, len(e))
	}
	if v := int8(e[0]); v > txnVersion { // of the two bytes of the version Kafka looks at the first
		return AbortedTxn{}, fmt.Errorf("%w: unexpected aborted transaction version %d", ErrCorrupt, v)
	}
	return AbortedTxn{
		ProducerID:       int64(binary.BigEndian.Uint64(e[2:])),
		FirstOffset:      int64(binary.BigEndian.Uint64(e[10:])),
		LastOffset:       int64(binary.BigEndian.Uint64(e[18:])),
		LastStableOffset: int64(binary.BigEndian.Uint64(e[26:])),
	}, nil
}

// txnIndex is the transaction index. Its file appears with the first entry, and entries go there at
// once, since there are few. All but slot is guarded by Segment.mu.
type txnIndex struct {
	slot   vfs.Slot
	count  int
	exists bool
	known  bool // count and exists are
}

// loadTxns looks once whether an opened segment has a transaction index.
func (s *Segment) loadTxns() error {
	s.mu.RLock()
	known := s.txns.known
	s.mu.RUnlock()
	if known {
		return nil
	}
	s.dir.mu.RLock()
	info, err := s.dir.fs.Stat(s.pathLocked(kindTxns))
	s.dir.mu.RUnlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.txns.known {
		s.txns.exists, s.txns.count, s.txns.known = err == nil, int(info.Size/txnWidth), true
	}
	return nil
}

// AppendAborted adds a transaction to the index, in the order of the markers.
func (s *Segment) AppendAborted(t AbortedTxn) error {
	return s.wrap("append aborted transaction to", s.appendAborted(t))
}

func (s *Segment) appendAborted(t AbortedTxn) error {
	if err := s.loadTxns(); err != nil {
		return err
	}
	s.mu.RLock()
	count, exists := s.txns.count, s.txns.exists
	s.mu.RUnlock()
	if !exists {
		if err := s.createTxns(); err != nil {
			return err
		}
	}
	h, err := s.txns.slot.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	if _, err := h.WriteAt(t.AppendTo(nil), int64(count)*txnWidth); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unnamed = s.unnamed || !exists
	s.txns.exists, s.txns.count, s.dirty = true, count+1, true
	return nil
}

func (s *Segment) createTxns() error {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return truncateFile(s.dir.fs, s.pathLocked(kindTxns))
}

// Aborted appends to dst the transactions that a reader of [from, upTo) has to skip. done means that
// later segments hold no more of them. Some may come that do not matter, which is harmless.
func (s *Segment) Aborted(dst []AbortedTxn, from, upTo int64) (_ []AbortedTxn, done bool, err error) {
	err = s.eachAborted(func(_ int, t AbortedTxn) bool {
		if t.LastOffset >= from && t.FirstOffset < upTo {
			dst = append(dst, t)
		}
		done = t.LastStableOffset >= upTo
		return !done
	})
	return dst, done, s.wrap("read aborted transactions of", err)
}

// eachAborted calls f with the entries until it returns false.
func (s *Segment) eachAborted(f func(i int, t AbortedTxn) bool) error {
	if err := s.loadTxns(); err != nil {
		return err
	}
	s.mu.RLock()
	count := s.txns.count
	s.mu.RUnlock()
	if count == 0 {
		return nil
	}
	h, err := s.txns.slot.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	_, err = walkAborted(h, count, f)
	return err
}

// walkAborted calls f with the first count entries until it returns false, and returns at which entry
// that was.
func walkAborted(h *vfs.Handle, count int, f func(i int, t AbortedTxn) bool) (int, error) {
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	const perBlock = blockSize / txnWidth
	for i := 0; i < count; i += perBlock {
		entries := block[:min(perBlock, count-i)*txnWidth]
		if err := readFull(h, entries, int64(i)*txnWidth); err != nil {
			return 0, err
		}
		for k := 0; k*txnWidth < len(entries); k++ {
			t, err := ParseAborted(entries[k*txnWidth:])
			if err != nil {
				return 0, err
			}
			if !f(i+k, t) {
				return i + k, nil
			}
		}
	}
	return count, nil
}

// CheckAborted looks at the transaction index of an opened segment, which then is Damaged if it cannot be right
// (TransactionIndex.sanityCheck, which does not look at the order and the last bytes).
func (s *Segment) CheckAborted() error {
	err := s.checkAborted()
	if errors.Is(err, ErrCorrupt) {
		s.damage, err = err, nil
	}
	return s.wrap("check aborted transactions of", err)
}

func (s *Segment) checkAborted() error {
	s.dir.mu.RLock()
	info, err := s.dir.fs.Stat(s.pathLocked(kindTxns))
	s.dir.mu.RUnlock()
	if err != nil {
		return err
	}
	name := FileName(s.base, TxnExt)
	if info.Size%txnWidth != 0 {
		return fmt.Errorf("%w: %s has %d bytes, no multiple of %d", ErrCorrupt, name, info.Size, txnWidth)
	}
	last := s.base - 1
	var bad error
	err = s.eachAborted(func(_ int, t AbortedTxn) bool {
		if t.LastOffset <= last || t.FirstOffset < 0 || t.FirstOffset > t.LastOffset {
			bad = fmt.Errorf("%w: %s has a transaction from %d to %d behind offset %d", ErrCorrupt, name, t.FirstOffset, t.LastOffset, last)
		}
		last = t.LastOffset
		return bad == nil
	})
	return errors.Join(err, bad)
}

// cutTxnsLocked drops the entries of transactions that end at or behind offset. It requires mu.
func (s *Segment) cutTxnsLocked(offset int64) error {
	if !s.txns.known {
		s.dir.mu.RLock()
		info, err := s.dir.fs.Stat(s.pathLocked(kindTxns))
		s.dir.mu.RUnlock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.txns.exists, s.txns.count, s.txns.known = err == nil, int(info.Size/txnWidth), true
	}
	if s.txns.count == 0 {
		return nil
	}
	h, err := s.txns.slot.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	keep, err := walkAborted(h, s.txns.count, func(_ int, t AbortedTxn) bool { return t.LastOffset < offset })
	if err != nil || keep == s.txns.count {
		return err
	}
	if err := h.Truncate(int64(keep) * txnWidth); err != nil {
		return err
	}
	s.txns.count = keep
	return nil
}
