package record

import "iter"

// Message is a record of format v0 or v1, each of which has a checksum of its own.
type Message struct {
	Record
	CRC   uint32 // as it is stored
	Valid bool   // whether the bytes call for it
}

// Messages is Records for a batch of format v0 or v1, with the checksums of its records.
func (b Batch) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		stopped := false
		each := func(r Record, raw []byte) error {
			m := Message{Record: r, CRC: Batch(raw).CRC(), Valid: Batch(raw).Check() == nil}
			if !yield(m, nil) {
				stopped = true
				return errStopped
			}
			return nil
		}
		var err error
		if b.Codec() == None {
			err = b.eachPlain(func(r Record) error { return each(r, b) })
		} else {
			err = b.eachInner(each)
		}
		if err != nil && !stopped {
			yield(Message{}, err)
		}
	}
}
