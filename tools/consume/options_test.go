package consume

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--topic t", "t//all@-1 group= max=-1"},
		{"--topic t --from-beginning --max-messages 5", "t//all@-2 group= max=5"},
		{"--include t.*", "/t.*/all@-1 group= max=-1"},
		{"--whitelist a --include b", "/b/all@-1 group= max=-1"},
		{"--topic t --partition 2", "t//2@-1 group= max=-1"},
		{"--topic t --partition 2 --offset EARLIEST", "t//2@-2 group= max=-1"},
		{"--topic t --partition 2 --offset latest", "t//2@-1 group= max=-1"},
		{"--topic t --partition 2 --offset 77", "t//2@77 group= max=-1"},
		{"--topic t --partition -1", "t//-1@-1 group= max=-1"}, // there is none, which does not mean all
		{"--topic t --group g", "t//all@-1 group=g max=-1"},
		{"--topic t --consumer-property group.id=g", "t//all@-1 group=g max=-1"},
		{"--topic t --consumer-property group.id=g --group g", "t//all@-1 group=g max=-1"},
		{"", "Exactly one of --include/--topic is required. "},
		{"--topic t --include i", "Exactly one of --include/--topic is required. "},
		{"--topic t --whitelist i", "Exactly one of --include/--topic is required. --whitelist is DEPRECATED use --include instead; ignored if --include specified."},
		{"--include i --partition 1", "The topic is required when partition is specified."},
		{"--topic t --offset 1", "The partition is required when offset is specified."},
		{"--topic t --partition 1 --offset 1 --from-beginning", "Options from-beginning and offset cannot be specified together."},
		{"--topic t --partition -1 --group g", "Options group and partition cannot be specified together."},
		{"--topic t --partition 1 --group g", "Options group and partition cannot be specified together."},
		{"--topic t --consumer-property group.id=b --group a", "The group ids provided in different places (directly using '--group', via '--consumer-property', " +
			"or via '--consumer.config') do not match. Detected group ids: 'a', 'b'"},
		{"--topic t --partition 0 --offset abc", "The provided offset value 'abc' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."},
		{"--topic t --partition 0 --offset -3", "The provided offset value '-3' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."},
		{"--topic t --timeout-ms abc", "Cannot parse argument 'abc' of option timeout-ms"},
		{"--include (?!a).*|b", "/(?!a).*|b/all@-1 group= max=-1"},
		{"--topic t --max-messages abc", "Cannot parse argument 'abc' of option max-messages"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			set, err := options().Parse(strings.Fields("--bootstrap-server s:1 " + tt.args))
			if err != nil {
				t.Fatal(err)
			}
			env, _ := testEnv()
			r, err := parse(env, set)
			if err == nil {
				err = r.parseMaxMessages(env, set)
			}
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprintf("%s/%s/%s@%d group=%s max=%d", r.topic, r.include, partition(r), r.offset, r.group, r.maxMessages)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// partition shows which partitions are read.
func partition(r *request) string {
	if r.one {
		return strconv.Itoa(int(r.partition))
	}
	return "all"
}

func TestProperties(t *testing.T) {
	tests := []struct{ args, name, want string }{
		{"", "auto.offset.reset", "latest"},
		{"--from-beginning", "auto.offset.reset", "earliest"},
		{"--consumer-property auto.offset.reset=none", "auto.offset.reset", "none"},
		{"--consumer-property auto.offset.reset=latest --from-beginning", "auto.offset.reset", "exit status 1"},
		{"", "isolation.level", "read_uncommitted"},
		{"--isolation-level read_committed", "isolation.level", "read_committed"},
		{"--consumer-property isolation.level=read_committed", "isolation.level", "read_committed"},
		{"", "client.id", "console-consumer"},
		{"--consumer-property client.id=me", "client.id", "me"},
		{"--group g", "group.id", "g"},
	}
	for _, tt := range tests {
		set, err := options().Parse(strings.Fields("--bootstrap-server s:1 --topic t " + tt.args))
		if err != nil {
			t.Fatal(err)
		}
		env, _ := testEnv()
		got := ""
		if r, err := parse(env, set); err != nil {
			got = err.Error()
		} else {
			got = r.properties[tt.name]
		}
		if got != tt.want {
			t.Errorf("%q gives %s=%q, want %q", tt.args, tt.name, got, tt.want)
		}
	}
}

// TestClientOptions checks that what a configuration gives is accepted by the client library.
func TestClientOptions(t *testing.T) {
	tests := []struct {
		args string
		want string // the error
	}{
		{"--topic t", ""},
		{"--topic t --partition 0 --offset 5", ""},
		{"--include t.*", ""},
		{"--include (?!__)(?!t).*", ""},
		{"--topic t --group g --consumer-property group.instance.id=i --consumer-property client.rack=r", ""},
		{"--topic t --group g --consumer-property enable.auto.commit=false", ""},
		{"--topic t --consumer-property check.crcs=false --isolation-level read_committed", ""},
		{"--topic t --group g --consumer-property partition.assignment.strategy=org.apache.kafka.clients.consumer.StickyAssignor", ""},
		{"--topic t --group g --consumer-property partition.assignment.strategy=foo.Bar", "Failed to construct kafka consumer"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			set, err := options().Parse(strings.Fields("--bootstrap-server s:1 " + tt.args))
			if err != nil {
				t.Fatal(err)
			}
			env, _ := testEnv()
			r, err := parse(env, set)
			if err != nil {
				t.Fatal(err)
			}
			config, err := clientconf.New(clientconf.Consumer, r.properties)
			if err != nil {
				t.Fatal(err)
			}
			settings, err := r.clientOptions(config, newPositions(config))
			if err == nil {
				err = kgo.ValidateOpts(settings...)
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOpen checks what is refused before anything is consumed, in Kafka's order.
func TestOpen(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--topic t", ""},
		{"--include (?!__)(?<n>t)\\k<n>.*+", ""},
		{"--include t[", "Unclosed character class near index 1"},
		{"--include t[ --max-messages x", "Unclosed character class near index 1"},
		{"--include ''", "Topic pattern to subscribe to cannot be empty"},
		{"--topic ''", "Topic collection to subscribe to cannot contain null or empty topic"},
		{"--topic '' --partition 0", "Topic partitions to assign to cannot have null or empty topic"},
		{"--topic t --partition -1", ""},
		{"--topic t --max-messages x", "Cannot parse argument 'x' of option max-messages"},
		{"--topic '' --consumer-property partition.assignment.strategy=foo", "Failed to construct kafka consumer"},
		{"--topic t --consumer-property partition.assignment.strategy=", "Must configure at least one partition assigner class"},
		{"--topic t --partition 0 --consumer-property partition.assignment.strategy=", ""},
		{"--topic t --consumer-property interceptor.classes=a.B", "Failed to construct kafka consumer"},
		{"--topic t --consumer-property metric.reporters=org.apache.kafka.common.metrics.JmxReporter", ""},
	}
	for _, tt := range tests {
		words := strings.Fields("--bootstrap-server 127.0.0.1:1 " + tt.args)
		for i := range words {
			words[i] = strings.Trim(words[i], "'") // '' is the empty one
		}
		set, err := options().Parse(words)
		if err != nil {
			t.Fatal(err)
		}
		env, _ := testEnv()
		env.Stderr = io.Discard // takes concurrent writes: the client's connections fail, and log it
		r, err := parse(env, set)
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientconf.New(clientconf.Consumer, r.properties)
		if err != nil {
			t.Fatal(err)
		}
		c, err := open(env, set, r, config)
		if err == nil {
			c.client.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.args, err, tt.want)
		}
	}
}

func TestFatal(t *testing.T) {
	code := func(code int16) error { return throwable.FromCode(code, nil) }
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no such topic yet", code(3), ""},
		{"no such topic, nor a broker for it yet", code(38), ""},
		{"not the leader", code(6), ""},
		{"connection refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, ""},
		{"connection lost", io.EOF, ""},
		{"unauthorized", code(29), "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [t]"},
		{"out of range", code(1), "org.apache.kafka.clients.consumer.OffsetOutOfRangeException: Fetch position is out of range for partition t-1"},
		{"no group", code(30), "org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed."},
		{"broken batch", errors.New("invalid CRC"), "org.apache.kafka.common.KafkaException: Received exception when fetching the next record from t-1. " +
			"If needed, please seek past the record to continue consumption. (invalid CRC)"},
	}
	for _, tt := range tests {
		got := ""
		if err := fatal("t", 1, tt.err); err != nil {
			got = throwable.String(err)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPrint checks that records are counted, cut at the limit and written, and what errors do.
func TestPrint(t *testing.T) {
	fetches := func(values ...string) kgo.Fetches {
		var p kgo.FetchPartition
		for _, v := range values {
			p.Records = append(p.Records, &kgo.Record{Value: []byte(v)})
		}
		return kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{p}}}}}
	}
	newConsumer := func(limit int64, skip bool, formatter formatter) (*consumer, *strings.Builder) {
		env, out := testEnv()
		return &consumer{env: env, request: &request{maxMessages: limit, skipErrors: skip, formatter: formatter, timeout: time.Second}}, out
	}
	odd := formatterFunc(func(dst []byte, r *kgo.Record) ([]byte, error) {
		if string(r.Value) == "bad" {
			return append(dst, "half"...), serializationError("bad record")
		}
		return append(append(dst, r.Value...), '\n'), nil
	})

	c, out := newConsumer(2, false, odd)
	if err := c.print(fetches("a", "b", "c")); err != nil || out.String() != "a\nb\n" || c.count != 2 {
		t.Errorf("limit: %q, %d, %v", out, c.count, err)
	}
	for _, limit := range []int64{0, -2} {
		c, out = newConsumer(limit, false, odd)
		if err := c.print(fetches("a")); err != nil || out.String() != "" || c.count != 0 {
			t.Errorf("limit %d: %q, %d, %v", limit, out, c.count, err)
		}
	}
	c, out = newConsumer(noLimit, false, odd)
	if err := c.print(fetches("a", "bad", "c")); err == nil || !strings.Contains(err.Error(), "bad record") || c.count != 2 {
		t.Errorf("error: %q, %d, %v", out, c.count, err)
	}
	c, out = newConsumer(noLimit, true, odd)
	err := c.print(fetches("a", "bad", "c"))
	if err != nil || c.count != 3 || !strings.HasSuffix(out.String(), "SerializationException: bad record\na\nc\n") {
		t.Errorf("skipped error: %q, %d, %v", out, c.count, err)
	}
}
