package dumplog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Where Kafka's decoders are, and where they were before 3.8.
const (
	decoderPackage    = "org.apache.kafka.tools.api."
	deprecatedPackage = "kafka.serializer."
)

// decoder appends what Java prints of the object that a key or value stands for.
type decoder func(dst, field []byte) ([]byte, error)

// standard are Kafka's decoders.
var standard = map[string]decoder{
	"StringDecoder": func(dst, field []byte) ([]byte, error) { return javastring.AppendUTF8(dst, field), nil },
	"LongDecoder": number(8, func(dst, b []byte) []byte {
		return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(b)), 10)
	}),
	"IntegerDecoder": number(4, func(dst, b []byte) []byte {
		return strconv.AppendInt(dst, int64(int32(binary.BigEndian.Uint32(b))), 10)
	}),
	"DefaultDecoder": func(dst, field []byte) ([]byte, error) {
		// Java prints where the bytes are in memory; here at least the same ones look alike.
		return fmt.Appendf(dst, "[B@%x", crc32.ChecksumIEEE(field)), nil
	},
}

// number makes a decoder of the first size bytes of a function that need not check them.
func number(size int, appendTo func(dst, b []byte) []byte) decoder {
	return func(dst, field []byte) ([]byte, error) {
		if len(field) < size {
			return dst, throwable.New("java.nio.BufferUnderflowException", "")
		}
		return appendTo(dst, field), nil
	}
}

// newDecoder returns the decoder that an option names.
func (d *dump) newDecoder(option string) (decoder, error) {
	class, err := d.options.Value(option)
	if err != nil {
		return nil, err
	}
	name, deprecated := strings.CutPrefix(class, deprecatedPackage)
	if !deprecated {
		name, _ = strings.CutPrefix(class, decoderPackage)
	}
	found, ok := standard[name]
	switch {
	case !ok || name == class:
		return nil, d.noDecoder(option, class)
	case deprecated:
		fmt.Fprintf(d.out, "%s is deprecated. Please use %s instead\n", class, decoderPackage+name)
	}
	return found, nil
}

// noDecoder returns the error for a class that is none of Kafka's decoders. Kafka's script says that there is no such
// class, as here; others are told more.
func (d *dump) noDecoder(option, class string) error {
	if d.env.Kafka {
		return throwable.New(throwable.ClassNotFound, class)
	}
	return throwable.Newf(throwable.ClassNotFound, "--%s: %s cannot be loaded; there are StringDecoder, LongDecoder, IntegerDecoder and "+
		"DefaultDecoder in %s", option, class, strings.TrimSuffix(decoderPackage, "."))
}

// decoders are a decoder for keys and one for values.
type decoders struct{ key, value decoder }

func (d decoders) parse(r *record.Record) (p printed, err error) {
	if r.Key != nil {
		if p.key, err = d.key([]byte{}, r.Key); err != nil {
			return p, err
		}
	}
	if r.Value != nil {
		p.payload, err = d.value([]byte{}, r.Value)
	}
	return p, err
}
