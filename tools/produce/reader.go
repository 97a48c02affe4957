package produce

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javaregex"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// lineReader makes a record of each line, as Kafka's LineMessageReader does. Unlike it, it leaves bytes
// that are no UTF-8 as they are.
type lineReader struct {
	in     *bufio.Reader
	prompt func()
	format format

	line    []byte // the last one, if it did not fit into in's buffer
	pending []byte // what a carriage return left of it
	more    bool   // pending is the next line
	number  int
	headers []header // reused
}

// format says what a line consists of.
type format struct {
	topic                                               string
	parseKey, parseHeaders, ignoreError                 bool
	keySeparator                                        []byte
	headersDelimiter, headersSeparator, headerSeparator []byte
	nullMarker                                          []byte // nil: none

	// headersPattern is headersSeparator as the regular expression that Kafka takes it for; nil if it
	// stands for itself only.
	headersPattern *javaregex.Pattern
}

const readBuffer = 1 << 18

// parseFormat reads the properties of the reader.
func parseFormat(properties clientconf.Properties) (format, error) {
	text := func(name, byDefault string) []byte {
		if value, ok := properties[name]; ok {
			return []byte(value)
		}
		return []byte(byDefault)
	}
	isTrue := func(name string) bool { return strings.EqualFold(strings.TrimSpace(properties[name]), "true") }
	f := format{
		topic:            properties["topic"],
		parseKey:         isTrue("parse.key"),
		parseHeaders:     isTrue("parse.headers"),
		ignoreError:      isTrue("ignore.error"),
		keySeparator:     text("key.separator", "\t"),
		headersDelimiter: text("headers.delimiter", "\t"),
		headersSeparator: text("headers.separator", ","),
		headerSeparator:  text("headers.key.separator", ":"),
	}
	if marker, ok := properties["null.marker"]; ok {
		f.nullMarker = []byte(marker)
	}
	if separator := string(f.headersSeparator); regexp.QuoteMeta(separator) != separator {
		pattern, err := javaregex.Compile(separator)
		if err != nil {
			return f, throwable.New(throwable.PatternSyntax, err.Error())
		}
		f.headersPattern = pattern
	}
	return f, f.check()
}

// check refuses separators that could not be told apart.
func (f *format) check() error {
	pairs := []struct {
		name, other   string
		first, second []byte
	}{
		{"headers.delimiter", "headers.separator", f.headersDelimiter, f.headersSeparator},
		{"headers.delimiter", "headers.key.separator", f.headersDelimiter, f.headerSeparator},
		{"headers.separator", "headers.key.separator", f.headersSeparator, f.headerSeparator},
		{"null.marker", "key.separator", f.nullMarker, f.keySeparator},
		{"null.marker", "headers.separator", f.nullMarker, f.headersSeparator},
		{"null.marker", "headers.delimiter", f.nullMarker, f.headersDelimiter},
		{"null.marker", "headers.key.separator", f.nullMarker, f.headerSeparator},
	}
	for _, pair := range pairs {
		if pair.first != nil && bytes.Equal(pair.first, pair.second) {
			return throwable.Newf(throwable.Kafka, "%s and %s may not be equal", pair.name, pair.other)
		}
	}
	return nil
}

func newLineReader(in io.Reader, f format, prompt func()) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, readBuffer), format: f, prompt: prompt}
}

// next reads the next line into r, whose fields are good until the next call. At the end it returns io.EOF.
func (l *lineReader) next(r *record) error {
	l.number++
	if l.prompt != nil {
		l.prompt()
	}
	line, err := l.readLine()
	if err != nil {
		return err
	}
	return l.parse(line, r)
}

// readLine returns the next line without its end, which is \n, \r or \r\n.
func (l *lineReader) readLine() ([]byte, error) {
	line, more := l.pending, l.more
	l.pending, l.more = nil, false
	if !more {
		var err error
		if line, err = l.readRaw(); err != nil {
			return nil, err
		}
	}
	if i := bytes.IndexByte(line, '\r'); i >= 0 {
		l.pending, l.more = line[i+1:], i+1 < len(line)
		line = line[:i]
	}
	return line, nil
}

// readRaw returns what stands before the next \n; a \r before it belongs to the line's end.
func (l *lineReader) readRaw() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		l.line = append(l.line[:0], line...)
		for err == bufio.ErrBufferFull {
			line, err = l.in.ReadSlice('\n')
			l.line = append(l.line, line...)
		}
		line = l.line
	}
	switch {
	case err == nil:
		line = line[:len(line)-1]
	case errors.Is(err, io.EOF) && len(line) > 0:
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	default:
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return line, nil
}

// parse cuts headers, key and value out of a line.
func (l *lineReader) parse(line []byte, r *record) error {
	f := &l.format
	r.key, r.headers = nil, nil
	rest := line
	if f.parseHeaders {
		headers, after, found := bytes.Cut(rest, f.headersDelimiter)
		switch {
		case found:
			rest = after
			if err := l.parseHeaders(headers, r); err != nil {
				return err
			}
		case !f.ignoreError:
			return l.missing("headers delimiter", line)
		}
	}
	if f.parseKey {
		key, after, found := bytes.Cut(rest, f.keySeparator)
		switch {
		case found:
			rest = after
			r.key = f.orNull(key)
		case !f.ignoreError:
			return l.missing("key separator", line)
		}
	}
	r.value = f.orNull(rest)
	return nil
}

func (l *lineReader) missing(what string, line []byte) error {
	return throwable.Newf(throwable.Kafka, "No %s found on line number %d: '%s'", what, l.number, line)
}

// orNull returns nil for the null marker. What is not nil stays so, even if it is empty.
func (f *format) orNull(field []byte) []byte {
	if f.nullMarker != nil && bytes.Equal(field, f.nullMarker) {
		return nil
	}
	if field == nil {
		return []byte{}
	}
	return field
}

// parseHeaders reads key:value,key:value.
func (l *lineReader) parseHeaders(text []byte, r *record) error {
	f := &l.format
	if f.nullMarker != nil && bytes.Equal(text, f.nullMarker) {
		return nil
	}
	r.headers = l.headers[:0]
	pairs, err := f.splitHeaders(text)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		key, value, found := bytes.Cut(pair, f.headerSeparator)
		switch {
		case !found && !f.ignoreError:
			return throwable.Newf(throwable.Kafka, "No header key separator found in pair '%s' on line number %d", pair, l.number)
		case !found:
			r.headers = append(r.headers, header{key: pair})
			continue
		case f.nullMarker != nil && bytes.Equal(key, f.nullMarker):
			return throwable.Newf(throwable.Kafka,
				"Header keys should not be equal to the null marker '%s' as they can't be null", f.nullMarker)
		}
		r.headers = append(r.headers, header{key, f.orNull(value)})
	}
	l.headers = r.headers
	return nil
}

// splitHeaders splits as Java does: empty pairs at the end do not count, so that a separator alone is no pair at all.
func (f *format) splitHeaders(text []byte) ([][]byte, error) {
	if f.headersPattern != nil {
		parts, err := f.headersPattern.Split(string(text))
		if err != nil {
			return nil, throwable.New(throwable.Runtime, err.Error())
		}
		var pairs [][]byte
		for _, pair := range parts {
			pairs = append(pairs, []byte(pair))
		}
		return pairs, nil
	}
	pairs := bytes.Split(text, f.headersSeparator)
	if len(pairs) == 1 {
		return pairs, nil
	}
	for len(pairs) > 0 && len(pairs[len(pairs)-1]) == 0 {
		pairs = pairs[:len(pairs)-1]
	}
	return pairs, nil
}
