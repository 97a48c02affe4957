// Package jacksoncsv reads and writes lines of comma separated values as Kafka's tools do, which is as Jackson's
// CsvMapper does with a schema: what is missing at the end of a line is null or 0, a comma at its end is ignored,
// and numbers may stand between spaces. Errors have Jackson's classes and words.
package jacksoncsv

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Kind is the type of a column.
type Kind int8

// The kinds of columns.
const (
	Text Kind = iota
	Int       // 32 bits
	Long      // 64 bits
)

func (k Kind) String() string { return [...]string{"String", "int", "long"}[k] }

// Column is one value of a line.
type Column struct {
	Name string
	Kind Kind
}

// Schema says what stands in a line.
type Schema struct {
	Class   string // the Java class of a line, for errors
	Columns []Column
}

// Value is the value of a column: Text or, for numbers, Number.
type Value struct {
	Text   string
	Number int64
}

// The classes of Jackson's errors.
const (
	mismatchedInput = "com.fasterxml.jackson.databind.exc.MismatchedInputException"
	invalidFormat   = "com.fasterxml.jackson.databind.exc.InvalidFormatException"
	csvRead         = "com.fasterxml.jackson.dataformat.csv.CsvReadException"
	jsonParse       = "com.fasterxml.jackson.core.JsonParseException"
)

// at returns where an error is, as Jackson puts it: column counts from 1.
func at(column int) string {
	return fmt.Sprintf("\n at [Source: (StringReader); line: 1, column: %d]", column)
}

// line reads values. Jackson takes what was read for twice as long once it has met the end of the line, which shows
// in the columns of some errors.
type line struct {
	text []rune
	next int // index of the first rune that was not read
}

// Read returns the values of a line, as many as there are columns. A carriage return ends the line.
func (s Schema) Read(text string) ([]Value, error) {
	if text == "" {
		return nil, throwable.New(mismatchedInput, "No content to map due to end-of-input\n"+
			" at [Source: (StringReader); line: UNKNOWN, column: UNKNOWN]")
	}
	l, values := &line{text: []rune(text)}, make([]Value, len(s.Columns))
	for i, more := 0, true; more; i++ {
		start := l.next
		var field string
		var err error
		if field, more, err = l.field(); err != nil {
			return nil, err
		}
		switch {
		case i < len(s.Columns):
			if values[i], err = s.value(i, field, start, l.next); err != nil {
				return nil, err
			}
		case i > len(s.Columns) || field != "" || more:
			column := start + 1
			if field == "" {
				column = 2 * len(l.text)
			}
			return nil, throwable.Newf(csvRead, "Too many entries: expected at most %d (value #%d (%d chars) \"%s\")%s",
				len(s.Columns), i, len([]rune(field)), field, at(column))
		}
	}
	return values, nil
}

// field reads one value and its comma, and reports whether there was one.
func (l *line) field() (value string, more bool, err error) {
	if l.next < len(l.text) && l.text[l.next] == '"' {
		l.next++
		if value, err = l.quoted(); err != nil {
			return "", false, err
		}
		for l.next < len(l.text) && l.text[l.next] <= ' ' && l.text[l.next] != '\r' {
			l.next++
		}
		if c, ok := l.peek(); ok && c != ',' && c != '\r' {
			return "", false, throwable.Newf(jsonParse, "Unexpected character ('%c' (code %d)): Expected column separator "+
				"character (',' (code 44)) or end-of-line%s", c, c, at(l.next+2))
		}
	} else {
		start := l.next
		for c, ok := l.peek(); ok && c != ',' && c != '\r'; c, ok = l.peek() {
			l.next++
		}
		value = string(l.text[start:l.next])
	}
	c, _ := l.peek()
	l.next++
	return value, c == ',', nil
}

func (l *line) peek() (rune, bool) {
	if l.next >= len(l.text) {
		return 0, false
	}
	return l.text[l.next], true
}

// quoted reads up to the closing quote; a quote in the value is doubled.
func (l *line) quoted() (string, error) {
	var value []rune
	for l.next < len(l.text) {
		c := l.text[l.next]
		l.next++
		if c == '"' {
			if l.next >= len(l.text) || l.text[l.next] != '"' {
				return string(value), nil
			}
			l.next++
		}
		value = append(value, c)
	}
	return "", throwable.New(jsonParse, "Missing closing quote for value"+at(2*len(l.text)+1))
}

// value converts the field of column i, which lies between start and end.
func (s Schema) value(i int, field string, start, end int) (Value, error) {
	column := s.Columns[i]
	if column.Kind == Text {
		return Value{Text: field}, nil
	}
	chain := fmt.Sprintf(` (through reference chain: %s["%s"])`, s.Class, column.Name)
	if negative, digits, ok := integer(field); ok {
		number, fits := wrapped(negative, digits, column.Kind)
		if !fits {
			cause := throwable.Newf(jsonParse, "Numeric value (%s) out of range of int%s", field, at(end+1))
			return Value{}, &throwable.Exception{Class: throwable.JSONMapping, Message: cause.Message + chain, Cause: cause}
		}
		return Value{Number: number}, nil
	}
	trimmed := strings.TrimFunc(field, func(r rune) bool { return r <= ' ' })
	if trimmed == "" || trimmed == "null" {
		return Value{}, nil
	}
	number, err := strconv.ParseInt(trimmed, 10, [...]int{Int: 32, Long: 64}[column.Kind])
	if err != nil {
		return Value{}, throwable.Newf(invalidFormat, "Cannot deserialize value of type `%s` from String \"%s\": not a valid "+
			"`%s` value%s", column.Kind, trimmed, column.Kind, at(start+1)+chain)
	}
	return Value{Number: number}, nil
}

// integer returns the digits of a number, if field is one.
func integer(field string) (negative bool, digits []int64, ok bool) {
	negative = strings.HasPrefix(field, "-")
	if negative || strings.HasPrefix(field, "+") {
		field = field[1:]
	}
	for _, r := range field {
		if !unicode.IsDigit(r) {
			return false, nil, false
		}
		zero := r
		for unicode.IsDigit(zero-1) && r-zero < 9 {
			zero--
		}
		digits = append(digits, int64(r-zero))
	}
	return negative, digits, len(digits) > 0
}

// wrapped returns the number; of one that is too large only the lowest bits are left, except that Jackson looks at
// whether an int of up to 18 digits fits.
func wrapped(negative bool, digits []int64, kind Kind) (number int64, fits bool) {
	for _, digit := range digits {
		number = number*10 + digit
	}
	if negative {
		number = -number
	}
	if kind == Int {
		fits = int64(int32(number)) == number || len(digits) > 18
		return int64(int32(number)), fits
	}
	return number, true
}
