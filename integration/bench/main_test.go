package main

import (
	"slices"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/report"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		args []string
		ok   bool
		want func(o options) bool
	}{
		{"everything", nil, true, func(o options) bool {
			return slices.Equal(o.only, groups) && slices.Equal(o.systems, report.Systems) && o.runs == 3 && o.acks == -1 && o.count == 10000 &&
				o.members == 1000 && o.tens == 1000 && o.commits == 1000000
		}},
		{"a part", []string{"-only", "produce,fetch", "-systems", "gregor", "-runs", "2", "-time", "1s", "-acks", "1"}, true, func(o options) bool {
			return len(o.only) == 2 && len(o.systems) == 1 && o.runs == 2 && o.limit.Time == time.Second && o.acks == 1
		}},
		{"quick", []string{"-quick"}, true, func(o options) bool {
			return o.runs == 1 && o.limit.Bytes == 100e6 && o.count == 1000 && o.members < 1000
		}},
		{"no such group", []string{"-only", "nonsense"}, false, nil},
		{"no such system", []string{"-systems", "rabbit"}, false, nil},
		{"no such acks", []string{"-acks", "0"}, false, nil},
		{"no runs", []string{"-runs", "0"}, false, nil},
		{"no groups", []string{"-groups", "0"}, false, nil},
		{"odd partitions", []string{"-partitions", "150"}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parse(tt.args)
			if (err == nil) != tt.ok || tt.ok && !tt.want(o) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

func TestParseProducer(t *testing.T) {
	const output = `50000 records sent, 9980.0 records/sec (9.75 MB/sec), 20.0 ms avg latency, 300.0 ms max latency.
488281 records sent, 46821.462270 records/sec (45.72 MB/sec), 612.31 ms avg latency, 903.00 ms max latency, 622 ms 50th, 801 ms 95th, 850 ms 99th, 899 ms 99.9th.
`
	got, err := parseProducer([]byte(output))
	if want := (producerResult{46821.46227, 622, 850, 899}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseProducer([]byte("org.apache.kafka.common.errors.TimeoutException\n")); err == nil {
		t.Error("there was no result")
	}
}

func TestParseConsumer(t *testing.T) {
	const output = "2026-11-22 10:23:25:133, 2026-11-22 10:23:28:817, 47.6836, 12.9434, 48828, 13254.0717, 3275, 409, 116.5858, 119383.8631\n"
	got, err := parseConsumer([]byte("WARNING: Exiting\n" + output))
	if err != nil || got != 116.5858 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseConsumer(nil); err == nil {
		t.Error("there was no result")
	}
}

func TestWakeUps(t *testing.T) {
	var late report.Samples
	for i := range 1000 {
		late.Add(time.Duration(i+1) * 10 * time.Microsecond)
	}
	const want = "At rest, wake-ups of this machine are late by 9.90 ms (p99), 9.99 ms (p99.9), at most 10.00 ms."
	if got := wakeUps(&late); got != want {
		t.Errorf("got %q", got)
	}
}

func TestProcessor(t *testing.T) {
	if got := processor([]byte("processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n")); got != "AMD EPYC" {
		t.Errorf("got %q", got)
	}
	if processor(nil) == "" {
		t.Error("a machine without a name")
	}
}
