package logger

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

func TestLogLines(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 123_000_000, time.UTC)
	tests := []struct {
		name string
		with func(logrus.FieldLogger)
		want string
	}{
		{"plain", func(e logrus.FieldLogger) { e.Info("started") }, "INFO started (kafka.log.LogManager)"},
		{"fields are sorted, the error is last", func(e logrus.FieldLogger) {
			e.WithFields(logrus.Fields{"topic": "orders", "partition": 3, "disk": 1, "zone": "a"}).
				WithError(errors.New("disk full")).Error("append failed")
		}, `ERROR append failed disk=1 partition=3 topic=orders zone=a error="disk full" (kafka.log.LogManager)`},
		{"one line", func(e logrus.FieldLogger) { e.WithField("text", "a\nb").Warn("two\r\nlines") }, `WARN two\r\nlines text="a\nb" (kafka.log.LogManager)`},
		{"empty value", func(e logrus.FieldLogger) { e.WithField("file", "").Info("starting") }, `INFO starting file="" (kafka.log.LogManager)`},
		{"long value", func(e logrus.FieldLogger) { e.WithField("topic", "t"+strings.Repeat("é", 16000)).Warn("refused") },
			"WARN refused topic=\"t" + strings.Repeat("é", 2047) + "... (27906 more bytes)\" (kafka.log.LogManager)"},
		{"long message", func(e logrus.FieldLogger) { e.Warn(strings.Repeat("m", 16385)) },
			"WARN " + strings.Repeat("m", 16384) + "... (1 more bytes) (kafka.log.LogManager)"},
		{"below the level", func(e logrus.FieldLogger) { e.Debug("hidden") }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.with(New(&out, "info").Named("kafka.log.LogManager").(*logrus.Entry).WithTime(at))
			want := ""
			if tt.want != "" {
				want = "[2026-11-22 10:00:00,123] " + tt.want + "\n"
			}
			if got := out.String(); got != want {
				t.Errorf("got  %qwant %q", got, want)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	var out bytes.Buffer
	r := New(&out, "info")
	for _, name := range []string{"kafka", "kafka.log.LogManager", "kafka.logs", "state.change.logger"} {
		r.Named(name)
	}
	inForce := func(want map[string]string) {
		t.Helper()
		if got := r.Levels(); !maps.Equal(got, want) {
			t.Errorf("levels %v, want %v", got, want)
		}
		for name, level := range want {
			out.Reset()
			if name == Root {
				continue
			}
			r.Named(name).Debug("a")
			if written := out.Len() > 0; written != (level == "DEBUG" || level == "TRACE") {
				t.Errorf("%s at %s writes debugging output: %v", name, level, written)
			}
		}
	}
	inForce(map[string]string{"root": "INFO", "kafka": "INFO", "kafka.log.LogManager": "INFO", "kafka.logs": "INFO", "state.change.logger": "INFO"})
	r.SetLevel("root", "WARN")
	r.SetLevel("kafka", "TRACE")
	r.SetLevel("kafka.logs", "FATAL")
	inForce(map[string]string{"root": "WARN", "kafka": "TRACE", "kafka.log.LogManager": "TRACE", "kafka.logs": "FATAL", "state.change.logger": "WARN"})
	r.UnsetLevel("kafka")
	r.UnsetLevel("root")
	inForce(map[string]string{"root": "WARN", "kafka": "WARN", "kafka.log.LogManager": "WARN", "kafka.logs": "FATAL", "state.change.logger": "WARN"})
	if r.Exists("kafka.log") || !r.Exists("kafka") || !r.Exists(Root) {
		t.Error("a logger exists once it was asked for, root always; what lies between names does not")
	}
}
