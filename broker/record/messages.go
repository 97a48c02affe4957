package record

import "iter"

// Message is a record of format v0 or v1 without its key and value, and the bytes it was read from.
type Message struct {
	Offset    int64
	Timestamp int64 // ms since 1970
	Raw       Batch // valid until the next one is asked for
}

// Messages goes over the records of a batch of format v0 or v1. Whether a key and a value fit into their message is not
// looked at.
func (b Batch) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		stopped := false
		each := func(r Record, raw []byte) error {
			if !yield(Message{r.Offset, r.Timestamp, raw}, nil) {
				stopped = true
				return errStopped
			}
			return nil
		}
		var err error
		if b.Codec() != None {
			err = b.eachInner(true, each)
		} else {
			var m message
			if m, err = parseMessage(b); err == nil || m.misfit {
				err = each(Record{Offset: m.offset, Timestamp: m.time}, b)
			}
		}
		if err != nil && !stopped {
			yield(Message{}, err)
		}
	}
}
