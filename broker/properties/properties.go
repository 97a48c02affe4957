// Package properties reads and writes Java properties files, byte for byte as java.util.Properties does:
// a server.properties, the meta.properties of a log directory, the --command-config of a tool.
//
// A file is made of logical lines. A natural line that ends in an odd number of backslashes goes on with the
// next one, whose leading white space does not count. A logical line is a name, a separator and a value; in
// both, a backslash begins an escape.
package properties

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
)

// ErrMalformed reports a \u that four hexadecimal digits do not follow, which is the one thing that
// java.util.Properties refuses.
var ErrMalformed = errors.New(`malformed \uxxxx encoding`)

const whiteSpace = " \t\f"

// Parse returns the properties in data, which is ISO 8859-1. The last one of a name counts; a line
// without a name, such as "=5", has the name "". Errors name the line and match ErrMalformed.
func Parse(data []byte) (map[string]string, error) {
	set := make(map[string]string)
	for rest := data; ; {
		var line []byte
		var ok bool
		if line, rest, ok = cutLine(rest); !ok {
			return set, nil
		}
		name, value := split(line)
		key, err := unescape(name)
		if err == nil {
			set[key], err = unescape(value)
		}
		if err != nil {
			end := len(bytes.TrimRight(data[:len(data)-len(rest)], "\r\n"))
			return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(data[:end], []byte("\n")), err)
		}
	}
}

// cutLine returns the first logical line of data, with its escapes, and what follows; false if there is none.
func cutLine(data []byte) (line, rest []byte, ok bool) {
	for len(data) > 0 {
		natural, end := data, len(data)
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			natural, end = data[:i], i+1
		}
		cr := data[end-1] == '\r'
		data = data[end:]
		natural = bytes.TrimLeft(natural, whiteSpace)
		if len(line) == 0 && (len(natural) == 0 || natural[0] == '#' || natural[0] == '!') {
			continue
		}
		backslashes := len(natural) - len(bytes.TrimRight(natural, `\`))
		if backslashes%2 == 0 {
			return append(line, natural...), data, true
		}
		line = append(line, natural[:len(natural)-1]...)
		if len(data) == 0 { // continued by nothing, which counts even if nothing has come before
			return line, nil, true
		}
		if cr && data[0] == '\n' {
			data = data[1:]
		}
	}
	return line, nil, len(line) > 0
}

// split cuts a logical line at its separator: white space, = or :, or one of these two between white space.
func split(line []byte) (name, value []byte) {
	end, escaped := len(line), false
	for i, c := range line {
		if !escaped && bytes.IndexByte([]byte(whiteSpace+"=:"), c) >= 0 {
			end = i
			break
		}
		escaped = c == '\\' && !escaped
	}
	value = bytes.TrimLeft(line[end:], whiteSpace)
	if len(value) > 0 && (value[0] == '=' || value[0] == ':') {
		value = bytes.TrimLeft(value[1:], whiteSpace)
	}
	return line[:end], value
}

// unescape resolves the escapes of a name or a value.
func unescape(text []byte) (string, error) {
	units := make([]uint16, 0, len(text)) // Java's chars: two \u can make one code point
	for i := 0; i < len(text); i++ {
		unit := uint16(text[i])
		if unit != '\\' || i+1 == len(text) {
			units = append(units, unit)
			continue
		}
		i++
		switch text[i] {
		case 't':
			unit = '\t'
		case 'n':
			unit = '\n'
		case 'r':
			unit = '\r'
		case 'f':
			unit = '\f'
		case 'u':
			n, err := strconv.ParseUint(string(text[i+1:min(i+5, len(text))]), 16, 16)
			if err != nil || i+5 > len(text) {
				return "", ErrMalformed
			}
			unit, i = uint16(n), i+4
		default:
			unit = uint16(text[i])
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units)), nil
}
