package consume

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// deserializer appends what Java prints of the object that a field stands for.
type deserializer func(dst, field []byte) ([]byte, error)

const serialization = "org.apache.kafka.common.serialization."

// deserializers are Kafka's, by class. Byte arrays, of which Java prints an address, are printed as they are.
var deserializers = map[string]deserializer{
	serialization + "StringDeserializer":     appendText,
	serialization + "ByteArrayDeserializer":  appendRaw,
	serialization + "ByteBufferDeserializer": appendRaw,
	serialization + "BytesDeserializer":      appendBytes,
	serialization + "BooleanDeserializer":    appendBoolean,
	serialization + "ShortDeserializer": number("ShortDeserializer", 2, func(dst, b []byte) []byte {
		return strconv.AppendInt(dst, int64(int16(binary.BigEndian.Uint16(b))), 10)
	}),
	serialization + "IntegerDeserializer": number("IntegerDeserializer", 4, func(dst, b []byte) []byte {
		return strconv.AppendInt(dst, int64(int32(binary.BigEndian.Uint32(b))), 10)
	}),
	serialization + "LongDeserializer": number("LongDeserializer", 8, func(dst, b []byte) []byte { return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(b)), 10) }),
	serialization + "FloatDeserializer": number("Deserializer", 4, func(dst, b []byte) []byte {
		return appendFloat(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32)
	}),
	serialization + "DoubleDeserializer": number("Deserializer", 8, func(dst, b []byte) []byte {
		return appendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(b)), 64)
	}),
	serialization + "UUIDDeserializer": appendUUID,
}

// newDeserializer returns the deserializer that a property names; nil if it names none. Like Kafka's tool it
// goes on without one that is unknown.
func newDeserializer(env *tool.Env, properties clientconf.Properties, name string) deserializer {
	class, ok := properties[name]
	if !ok {
		return nil
	}
	if d, ok := deserializers[class]; ok {
		return d
	}
	env.LogError(defaultFormatter, "Unable to instantiate a deserializer from "+class, throwable.New(throwable.ClassNotFound, class))
	return nil
}

func serializationError(format string, args ...any) error {
	return throwable.Newf("org.apache.kafka.common.errors.SerializationException", format, args...)
}

func appendText(dst, field []byte) ([]byte, error) { return javastring.AppendUTF8(dst, field), nil }

func appendRaw(dst, field []byte) ([]byte, error) { return append(dst, field...), nil }

// appendBytes prints what is no printable ASCII as \xHH.
func appendBytes(dst, field []byte) ([]byte, error) {
	for _, b := range field {
		if b >= ' ' && b <= '~' && b != '\\' {
			dst = append(dst, b)
		} else {
			dst = fmt.Appendf(dst, `\x%02X`, b)
		}
	}
	return dst, nil
}

func appendBoolean(dst, field []byte) ([]byte, error) {
	if len(field) != 1 {
		return dst, serializationError("Size of data received by BooleanDeserializer is not 1")
	}
	if field[0] > 1 {
		return dst, serializationError("Unexpected byte received by BooleanDeserializer: %d", int8(field[0]))
	}
	return strconv.AppendBool(dst, field[0] == 1), nil
}

// number makes a deserializer of size bytes of a function that need not check it.
func number(class string, size int, appendTo func(dst, b []byte) []byte) deserializer {
	return func(dst, field []byte) ([]byte, error) {
		if len(field) != size {
			return dst, serializationError("Size of data received by %s is not %d", class, size)
		}
		return appendTo(dst, field), nil
	}
}

// appendFloat prints a number as Java's Double.toString: with a decimal point always, and with an exponent
// from 10^7 on and below 10^-3.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch magnitude := math.Abs(f); {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 0):
		return append(dst, strings.TrimPrefix(strings.Replace(strconv.FormatFloat(f, 'f', -1, bits), "Inf", "Infinity", 1), "+")...)
	case magnitude == 0 || magnitude >= 1e-3 && magnitude < 1e7:
		text := strconv.FormatFloat(f, 'f', -1, bits)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return append(dst, text...)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, bits), "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent) // of FormatFloat: always a number
	return strconv.AppendInt(append(append(dst, mantissa...), 'E'), int64(n), 10)
}

func appendUUID(dst, field []byte) ([]byte, error) {
	text := strings.ToLower(string(field))
	if len(text) != 36 || strings.Count(text, "-") != 4 || strings.Trim(text, "0123456789abcdef-") != "" {
		return dst, serializationError("Error parsing data into UUID")
	}
	return append(dst, text...), nil
}
