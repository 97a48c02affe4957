package dumplog

import (
	"errors"
	"fmt"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// printer prints the records of a log.
type printer struct {
	deep     bool // go through the records at all
	metadata bool
	contents parser // nil: keys and values are not printed
}

// parser appends what there is to print of a record's key and value.
type parser func(r *record.Record) (printed, error)

// printed is what is printed of a key and a value; nil is nothing.
type printed struct{ key, payload []byte }

// newPrinter returns what the options ask for. It makes the parser in any case, as Kafka's tool does.
func (d *dump) newPrinter() (*printer, error) {
	contents, err := d.newParser()
	if err != nil {
		return nil, err
	}
	p := &printer{deep: d.prints() || d.options.Has(deepIteration), metadata: !d.options.Has(skipMetadata)}
	if d.prints() {
		p.contents = contents
	}
	return p, nil
}

func (d *dump) newParser() (parser, error) {
	switch {
	case d.options.Has(offsetsDecoder):
		return parseOffsets, nil
	case d.options.Has(txnDecoder):
		return parseTransaction, nil
	}
	value, err := d.newDecoder(valueDecoder)
	if err != nil {
		return nil, err
	}
	key, err := d.newDecoder(keyDecoder)
	return decoders{key, value}.parse, err
}

// format appends the line of a record. If there is an error, the line ends where Kafka's does.
func (p *printer) format(dst []byte, b *batch, r *recordOf) ([]byte, error) {
	prefix := "| "
	var err error
	if p.metadata {
		prefix = " "
		if dst, err = appendMetadata(dst, b, r); err != nil {
			return dst, err
		}
	}
	if p.contents != nil && !b.IsControl() {
		if err := r.loadLegacy(); err != nil {
			return dst, err
		}
		contents, err := p.contents(&r.Record)
		if err != nil {
			return dst, err
		}
		if contents.key != nil {
			dst = append(append(append(dst, prefix...), "key: "...), contents.key...)
		}
		if contents.payload != nil {
			dst = append(append(dst, " payload: "...), contents.payload...)
		}
	}
	return append(dst, '\n'), nil
}

func appendMetadata(dst []byte, b *batch, r *recordOf) ([]byte, error) {
	keySize, valueSize, err := r.sizes()
	if err != nil {
		return dst, err
	}
	dst = append(dst, "| "...)
	dst = fmt.Appendf(dst, "offset: %d %s: %d keySize: %d valueSize: %d", r.Offset, b.TimestampType(), r.Timestamp, keySize, valueSize)
	if b.magic >= record.MagicV2 {
		dst = fmt.Appendf(dst, " sequence: %d headerKeys: [", r.Sequence)
		first := true
		for key := range r.Headers.All() {
			if !first {
				dst = append(dst, ',')
			}
			dst, first = javastring.AppendUTF8(dst, key), false
		}
		dst = append(dst, ']')
	}
	if r.legacy != nil {
		dst = fmt.Appendf(dst, " isValid: %t crc: %d}", r.legacy.Check() == nil, r.legacy.CRC()) // the brace is Kafka's
	}
	if !b.IsControl() {
		return dst, nil
	}
	return appendControl(dst, &r.Record)
}

// controlTypes are the names of the types of control records; those from 2 on are KRaft's.
var controlTypes = [...]string{"ABORT", "COMMIT", "LEADER_CHANGE", "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION", "KRAFT_VOTERS"}

// appendControl appends what a control record says. Of KRaft's records it names the type.
func appendControl(dst []byte, r *record.Record) ([]byte, error) {
	id, err := r.ControlType()
	if err != nil {
		return dst, err
	}
	name := "UNKNOWN"
	if id >= 0 && int(id) < len(controlTypes) {
		name = controlTypes[id]
	}
	marker, ok, err := r.Marker()
	switch {
	case err != nil:
		return dst, err
	case ok:
		return fmt.Appendf(dst, " endTxnMarker: %s coordinatorEpoch: %d", name, marker.CoordinatorEpoch), nil
	}
	return fmt.Appendf(dst, " controlType: %s(%d)", name, id), nil
}

// exception returns an error of a batch as Kafka throws it.
func exception(err error) error {
	failed, ok := errors.AsType[*record.Error](err)
	if !ok {
		return err
	}
	class := throwable.Kafka
	switch {
	case errors.Is(err, record.ErrInvalidRecord):
		class = invalidRecord
	case errors.Is(err, record.ErrCorrupt):
		class = corruptRecord
	}
	return throwable.New(class, failed.Message)
}
