package javatime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// recorded returns what Java made of texts: lines of "text => result".
func recorded(t *testing.T, name string) [][2]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var pairs [][2]string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
		i := strings.LastIndex(line, " => ")
		pairs = append(pairs, [2]string{line[:i], line[i+len(" => "):]})
	}
	return pairs
}

// failure returns an error with its causes as the records have them.
func failure(err error) string {
	texts := []string{throwable.String(err)}
	for err = errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
		texts = append(texts, throwable.String(err))
	}
	return strings.Join(texts, " << ")
}

// TestParseDateTime compares with what Kafka's Utils.getDateTime answered.
func TestParseDateTime(t *testing.T) {
	for _, r := range recorded(t, "datetimes.txt") {
		millis, err := ParseDateTime(r[0])
		got := fmt.Sprint(millis)
		if err != nil {
			got = failure(err)
		}
		if got != r[1] {
			t.Errorf("%q is %s, want %s", r[0], got, r[1])
		}
	}
}

// TestParseDuration compares with what java.time.Duration answered: seconds and nanoseconds, and the time that
// lies so long before one in 2020.
func TestParseDuration(t *testing.T) {
	now := time.Unix(1_600_000_000, 123_456_789)
	for _, r := range recorded(t, "durations.txt") {
		got := ""
		if d, err := ParseDuration(r[0]); err != nil {
			got = failure(err)
		} else if millis, err := d.Before(now); err != nil {
			got = fmt.Sprintf("%d %d -> %s", d.Seconds, d.Nanos, failure(err))
		} else {
			got = fmt.Sprintf("%d %d -> %d", d.Seconds, d.Nanos, millis)
		}
		if got != r[1] {
			t.Errorf("%q is %s, want %s", r[0], got, r[1])
		}
	}
}

func FuzzParseDateTime(f *testing.F) {
	f.Add("2020-01-01T00:00:00.000+01:00")
	f.Add("2020-01-01T00:00:00.000")
	f.Fuzz(func(t *testing.T, text string) {
		if millis, err := ParseDateTime(text); err == nil && millis < -62135596800000-zoneMax*60_000 {
			t.Errorf("%q is %d, before the year 1", text, millis)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	f.Add("P1DT2H3M4.5S")
	f.Add("-PT-0.5S")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err == nil && (d.Nanos < 0 || d.Nanos >= 1e9) {
			t.Errorf("%q has %d nanoseconds", text, d.Nanos)
		}
	})
}
