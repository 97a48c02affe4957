package zkutil

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// errNotJSON is what parseObject finds in contents that are no JSON at all; Kafka takes those for empty
// in several families.
var errNotJSON = errors.New("not JSON")

// encodeJSON returns v as compact JSON. Unlike json.Marshal it leaves <, > and & as they are.
func encodeJSON(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("zkutil: a znode's struct cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// object is a JSON object before its values are looked at. Keys count exactly, unlike in package json.
type object map[string]json.RawMessage

// parseObject splits data into keys and values; unknown keys do no harm. Contents that are no JSON give
// errNotJSON, JSON of another kind another error.
func parseObject(data []byte) (object, error) {
	if !json.Valid(data) {
		return nil, errNotJSON
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil || o == nil {
		return nil, errors.New("not a JSON object")
	}
	return o, nil
}

// has reports whether key has a value other than null.
func (o object) has(key string) bool {
	raw, ok := o[key]
	return ok && string(raw) != "null"
}

// object returns the object that key has.
func (o object) object(key string) (object, error) {
	if !o.has(key) {
		return nil, fmt.Errorf("no %q", key)
	}
	sub, err := parseObject(o[key])
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	return sub, nil
}

// required returns the value of key, which must be there and be a T: a number is no string, and null
// is nothing.
func required[T any](o object, key string) (T, error) {
	var v T
	if !o.has(key) {
		return v, fmt.Errorf("no %q", key)
	}
	if err := json.Unmarshal(o[key], &v); err != nil {
		return v, fmt.Errorf("%q: %w", key, err)
	}
	return v, nil
}

// optional returns the value of key, or otherwise if it is absent or null.
func optional[T any](o object, key string, otherwise T) (T, error) {
	if !o.has(key) {
		return otherwise, nil
	}
	return required[T](o, key)
}

// idList is a list of broker ids. It refuses null in the place of an id, where package json takes zero.
type idList []int32

// UnmarshalJSON implements json.Unmarshaler.
func (l *idList) UnmarshalJSON(data []byte) error {
	var ids []*int32
	if err := json.Unmarshal(data, &ids); err != nil {
		return err
	}
	*l = make(idList, len(ids))
	for i, id := range ids {
		if id == nil {
			return errors.New("null in a list of ids")
		}
		(*l)[i] = *id
	}
	return nil
}

// appendIDs appends ids as a JSON array.
func appendIDs(dst []byte, ids []int32) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return append(dst, ']')
}

// appendReplicas appends the lists of replicas that are not empty, or all, by partition in order.
func appendReplicas(dst []byte, partitions map[int32]Assignment, list func(Assignment) []int32, all bool) []byte {
	dst = append(dst, '{')
	first := true
	for _, p := range slices.Sorted(maps.Keys(partitions)) {
		ids := list(partitions[p])
		if len(ids) == 0 && !all {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, int64(p), 10)
		dst = append(dst, `":`...)
		dst = appendIDs(dst, ids)
	}
	return append(dst, '}')
}

// malformed returns the error of a znode whose contents cannot be understood.
func malformed(what string, data []byte, err error) error {
	const shown = 200
	text := string(data)
	if len(text) > shown {
		text = text[:shown] + "…"
	}
	return fmt.Errorf("malformed %s %q: %w", what, text, err)
}
