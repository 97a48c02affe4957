// Package jackson reads JSON as Kafka's tools do, which is as Jackson does: the first value of a text counts
// and what follows is ignored, of two fields with one name the last one counts, and errors say what was
// expected where, in Jackson's words.
//
// Values are taken apart as by Kafka's own decoders: Object, Array, Text and so on return the value as what
// it is, or the JsonMappingException that Kafka throws if it is something else.
package jackson

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/javanumber"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

type kind int8

const (
	missing kind = iota // there was no value at all
	null
	boolean
	number
	text
	array
	object
)

// Value is a JSON value.
type Value struct {
	kind     kind
	text     string // of a string the contents, else as it was written
	elements []Value
	fields   []field // by order of their first appearance
}

type field struct {
	name  string
	value Value
}

// Object is a value that is an object.
type Object struct{ fields []field }

// Object returns the value as an object.
func (v Value) Object() (Object, error) {
	if v.kind != object {
		return Object{}, mapping("Expected JSON object, received " + v.String())
	}
	return Object{v.fields}, nil
}

// Array returns the elements of an array.
func (v Value) Array() ([]Value, error) {
	if v.kind != array {
		return nil, mapping("Expected JSON array, received " + v.String())
	}
	return v.elements, nil
}

// List returns the elements of an array where Kafka decodes one as a list.
func (v Value) List() ([]Value, error) {
	if v.kind != array {
		return nil, v.unexpected("JSON array")
	}
	return v.elements, nil
}

// Text returns the contents of a string.
func (v Value) Text() (string, error) {
	if v.kind != text {
		return "", v.unexpected("String")
	}
	return v.text, nil
}

// Int32 returns a number that is written without fraction and has at most 32 bits.
func (v Value) Int32() (int32, error) {
	n, err := strconv.ParseInt(v.text, 10, 32)
	if v.kind != number || err != nil {
		return 0, v.unexpected("Integer")
	}
	return int32(n), nil
}

// Int64 returns a number that is written without fraction and has at most 64 bits.
func (v Value) Int64() (int64, error) {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if v.kind != number || err != nil {
		return 0, v.unexpected("Long")
	}
	return n, nil
}

func (v Value) unexpected(wanted string) error {
	return mapping("Expected `" + wanted + "` value, received " + v.String())
}

// Get returns a field and whether it is there.
func (o Object) Get(name string) (Value, bool) {
	for _, f := range o.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return Value{}, false
}

// Need returns a field that must be there.
func (o Object) Need(name string) (Value, error) {
	v, ok := o.Get(name)
	if !ok {
		return Value{}, mapping("No such field exists: `" + name + "`")
	}
	return v, nil
}

// String returns the value as JSON without spaces.
func (v Value) String() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v Value) write(b *strings.Builder) {
	switch v.kind {
	case text:
		b.WriteString(Quote(v.text))
	case number:
		b.WriteString(v.canonical())
	case array:
		b.WriteByte('[')
		for i, element := range v.elements {
			if i > 0 {
				b.WriteByte(',')
			}
			element.write(b)
		}
		b.WriteByte(']')
	case object:
		b.WriteByte('{')
		for i, f := range v.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(Quote(f.name) + ":")
			f.value.write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.text)
	}
}

// canonical returns the number as Java writes it.
func (v Value) canonical() string {
	if !strings.ContainsAny(v.text, ".eE") {
		return v.text
	}
	f, _ := strconv.ParseFloat(v.text, 64) // checked by the parser; too large is infinite
	if math.IsInf(f, 0) {
		return Quote(javanumber.Double(f))
	}
	return javanumber.Double(f)
}

// Quote returns s as a JSON string.
func Quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return strconv.Quote(s) // a string can always be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func mapping(message string) error { return throwable.New(throwable.JSONMapping, message) }
