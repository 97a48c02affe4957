// Package javatime reads times and durations as Java does where Kafka's tools take them.
package javatime

import (
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// parseException is the class of errors about times.
const parseException = "java.text.ParseException"

// Java's calendars know time zones from here to there, in minutes east of Greenwich.
const (
	zoneMin = -13 * 60
	zoneMax = 14 * 60
)

// yearMax is the last year of Java's calendars.
const yearMax = 292278994

// ParseDateTime returns the milliseconds since 1970 of a time like 2026-01-31T23:59:59.999, as Kafka's
// Utils.getDateTime does: in UTC unless Z, +hh:mm or +hh follows; what comes after that is ignored. Digits are not
// counted, so that .5 are five milliseconds. Years before 1582 are read in the Gregorian calendar, where Java has
// the Julian one.
func ParseDateTime(text string) (int64, error) {
	parts := strings.Split(strings.TrimRight(text, "T"), "T")
	if len(parts) < 2 {
		return 0, throwable.New(parseException, "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format")
	}
	if !strings.ContainsAny(parts[1], "+-Z") {
		text += "Z"
	}
	r := &reader{rest: []rune(text)}
	millis, ok := r.dateTime()
	if !ok {
		return 0, throwable.Newf(parseException, `Unparseable date: "%s"`, text)
	}
	return millis, nil
}

// reader reads the fields of a time one after the other.
type reader struct{ rest []rune }

// dateTime reads yyyy-MM-dd'T'HH:mm:ss.SSS and the zone.
func (r *reader) dateTime() (int64, bool) {
	var fields [7]int
	for i, separator := range "--T::.\x00" {
		value, ok := r.number()
		if !ok || separator != 0 && !r.literal(separator) {
			return 0, false
		}
		fields[i] = value
	}
	offset, ok := r.zone()
	if !ok || fields[0] < 1 || fields[0] > yearMax || fields[6] < 0 || fields[6] > 999 {
		return 0, false
	}
	t := time.Date(fields[0], time.Month(fields[1]), fields[2], fields[3], fields[4], fields[5], 0, time.UTC)
	exact := t.Year() == fields[0] && int(t.Month()) == fields[1] && t.Day() == fields[2] &&
		t.Hour() == fields[3] && t.Minute() == fields[4] && t.Second() == fields[5]
	if !exact {
		return 0, false // such as a 30th of February
	}
	seconds := t.Unix() - int64(offset)*60
	if seconds > (math.MaxInt64-int64(fields[6]))/1000 {
		return 0, false
	}
	return seconds*1000 + int64(fields[6]), true
}

// number reads a number of any length, which may be after spaces.
func (r *reader) number() (int, bool) {
	r.skipSpaces()
	sign := 1
	if len(r.rest) > 0 && r.rest[0] == '-' {
		sign, r.rest = -1, r.rest[1:]
	}
	value, digits := 0, 0
	for len(r.rest) > 0 && unicode.IsDigit(r.rest[0]) {
		value = min(value*10+digit(r.rest[0]), math.MaxInt32)
		digits, r.rest = digits+1, r.rest[1:]
	}
	return sign * value, digits > 0
}

// digit returns the value of a decimal digit of any script: in Unicode, the ten of a script follow each other.
func digit(c rune) int {
	zero := c
	for unicode.IsDigit(zero-1) && c-zero < 9 {
		zero--
	}
	return int(c - zero)
}

func (r *reader) literal(c rune) bool {
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) skipSpaces() {
	for len(r.rest) > 0 && (r.rest[0] == ' ' || r.rest[0] == '\t') {
		r.rest = r.rest[1:]
	}
}

// zone reads Z, +hh:mm or +hh and returns minutes east of Greenwich. Minutes that are none are left out.
func (r *reader) zone() (int, bool) {
	r.skipSpaces()
	if r.literal('Z') {
		return 0, true
	}
	sign := 1
	if !r.literal('+') {
		if sign = -1; !r.literal('-') {
			return 0, false
		}
	}
	hours, ok := twoDigits(r.rest)
	if !ok || hours > 23 {
		return 0, false
	}
	offset := hours * 60
	if len(r.rest) >= 5 && r.rest[2] == ':' {
		if minutes, ok := twoDigits(r.rest[3:]); ok && minutes < 60 {
			offset += minutes
		}
	}
	offset *= sign
	return offset, offset >= zoneMin && offset <= zoneMax
}

func twoDigits(text []rune) (int, bool) {
	if len(text) < 2 || text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9' {
		return 0, false
	}
	return int(text[0]-'0')*10 + int(text[1]-'0'), true
}
