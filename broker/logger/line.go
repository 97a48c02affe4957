package logger

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/excerpt"
)

// levelNames are the words in the log, by logrus's numbers.
var levelNames = [...]string{"FATAL", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}

// lineFormatter writes an event as
//
//	[2026-11-22 10:00:00,123] INFO message name=value (logger)
//
// with the fields sorted by name, except for the error, which comes last: the form that Kafka's default log4j
// configuration has. Long messages and values are cut: names and texts of requests may have 32 KiB each, and some
// lines have many.
type lineFormatter struct{}

// What is shown of a message (one has the whole configuration) and of a value, in bytes.
const (
	maxMessage = 16 << 10
	maxValue   = 4 << 10
)

// Format returns the line. It keeps nothing of the entry.
func (lineFormatter) Format(e *logrus.Entry) ([]byte, error) {
	b := e.Buffer
	if b == nil {
		b = new(bytes.Buffer)
	}
	b.WriteByte('[')
	b.WriteString(e.Time.Format("2006-01-02 15:04:05,000"))
	b.WriteString("] ")
	b.WriteString(levelNames[e.Level])
	b.WriteByte(' ')
	b.WriteString(oneLine(excerpt.Of(e.Message, maxMessage)))
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		if name != nameKey && name != logrus.ErrorKey {
			writeField(b, name, e.Data[name])
		}
	}
	if err, ok := e.Data[logrus.ErrorKey]; ok {
		writeField(b, logrus.ErrorKey, err)
	}
	if name, ok := e.Data[nameKey]; ok {
		fmt.Fprintf(b, " (%v)", name)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func writeField(b *bytes.Buffer, name string, value any) {
	text := excerpt.Of(fmt.Sprint(value), maxValue)
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' }) {
		text = strconv.Quote(text)
	}
	b.WriteByte(' ')
	b.WriteString(name)
	b.WriteByte('=')
	b.WriteString(text)
}

var lineBreaks = strings.NewReplacer("\n", `\n`, "\r", `\r`)

func oneLine(s string) string { return lineBreaks.Replace(s) }
