package clientconf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func TestDefaults(t *testing.T) {
	config, err := New(Consumer, Properties{"bootstrap.servers": " a:1 , b:2 ", "made.up": "x", "fetch.min.bytes": " 7 "})
	if err != nil {
		t.Fatal(err)
	}
	if got := config.List("bootstrap.servers"); len(got) != 2 || got[0] != "a:1" || got[1] != "b:2" {
		t.Errorf("bootstrap.servers is %q", got)
	}
	if config.Int("fetch.min.bytes") != 7 || config.Millis("fetch.max.wait.ms") != 500*time.Millisecond || !config.Bool("check.crcs") {
		t.Error("a default or a value is wrong")
	}
	if !config.Given("made.up") || config.Given("fetch.max.bytes") || config.String("made.up") != "x" {
		t.Error("Given is wrong")
	}
}

// TestEveryDefinition checks that every property of the table can be set to its default.
func TestEveryDefinition(t *testing.T) {
	for client, want := range map[Client]int{Admin: 74, Producer: 95, Consumer: 98} {
		if got := len(definitions[client]); got != want {
			t.Errorf("%s has %d properties, want %d", client, got, want)
		}
		for _, d := range definitions[client] {
			if d.byDefault == "" {
				continue
			}
			if _, err := New(client, Properties{d.name: d.byDefault}); err != nil {
				t.Errorf("%s: %v", client, err)
			}
		}
	}
}

func TestWrongValues(t *testing.T) {
	tests := []struct {
		client      Client
		name, value string
		want        string
	}{
		{Admin, "retries", "abc", "Invalid value abc for configuration retries: Not a number of type INT"},
		{Admin, "retries", "-1", "Invalid value -1 for configuration retries: Value must be at least 0"},
		{Admin, "retries", "99999999999", "Invalid value 99999999999 for configuration retries: Not a number of type INT"},
		{Producer, "linger.ms", "abc", "Invalid value abc for configuration linger.ms: Not a number of type LONG"},
		{Producer, "acks", "7", "Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1"},
		{Producer, "compression.type", "foo", "Invalid value foo for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd"},
		{Producer, "compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{Producer, "compression.gzip.level", "10", "Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{Producer, "partitioner.class", "no.such.Class", "Invalid value no.such.Class for configuration partitioner.class: Class no.such.Class could not be found."},
		{Producer, "partitioner.class", "", "Invalid value  for configuration partitioner.class: Class  could not be found."},
		{Producer, "partitioner.class", " " + RoundRobinPartitioner + " ", ""},
		{Producer, "linger.ms", " x ", "Invalid value  x  for configuration linger.ms: Not a number of type LONG"},
		{Producer, "linger.ms", " -1 ", "Invalid value -1 for configuration linger.ms: Value must be at least 0"},
		{Producer, "sasl.kerberos.ticket.renew.jitter", "1d", ""},
		{Producer, "sasl.kerberos.ticket.renew.jitter", "inf", "Invalid value inf for configuration sasl.kerberos.ticket.renew.jitter: Not a number of type DOUBLE"},
		{Producer, "compression.gzip.level", "-1", ""},
		{Producer, "compression.lz4.level", "18", "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"},
		{Producer, "enable.idempotence", "yes", "Invalid value yes for configuration enable.idempotence: Expected value to be either true or false"},
		{Producer, "enable.idempotence", "TRUE", ""},
		{Consumer, "isolation.level", "nonsense", "Invalid value nonsense for configuration isolation.level: String must be one of: read_committed, read_uncommitted"},
		{Consumer, "auto.offset.reset", "foo", "Invalid value foo for configuration auto.offset.reset: String must be one of: latest, earliest, none"},
		{Consumer, "group.protocol", "classic", ""},
		{Consumer, "security.protocol", "ssl", ""},
		{Consumer, "security.protocol", "tls", "Invalid value tls for configuration security.protocol: String must be one of (case insensitive): SASL_SSL, PLAINTEXT, SSL, SASL_PLAINTEXT"},
		{Consumer, "sasl.login.refresh.window.factor", "2", "Invalid value 2 for configuration sasl.login.refresh.window.factor: Value must be no more than 1.0"},
	}
	for _, tt := range tests {
		_, err := New(tt.client, Properties{tt.name: tt.value})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s=%s gives %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}

// TestFirstWrong checks that of several wrong values the one is named that Kafka defines first.
func TestFirstWrong(t *testing.T) {
	wrong := Properties{"linger.ms": "x", "acks": "9", "batch.size": "x", "transactional.id": "", "ssl.engine.factory.class": "x"}
	for _, name := range []string{"acks", "batch.size", "linger.ms", "ssl.engine.factory.class", "transactional.id"} {
		_, err := New(Producer, wrong)
		if err == nil || !strings.Contains(err.Error(), " for configuration "+name+": ") {
			t.Errorf("with %v: %v, want one about %s", wrong, err, name)
		}
		delete(wrong, name)
	}
}

func TestCheckInstances(t *testing.T) {
	const kafka = "org.apache.kafka.common.KafkaException: "
	for _, tt := range []struct{ name, value, wanted, want string }{
		{"metric.reporters", "", MetricsReporter, ""},
		{"metric.reporters", "org.apache.kafka.common.metrics.JmxReporter, org.apache.kafka.common.metrics.JmxReporter", MetricsReporter, ""},
		{"interceptor.classes", "a.B,c.D", ProducerInterceptor, kafka + "Class a.B cannot be found, java.lang.ClassNotFoundException: a.B"},
		{"interceptor.classes", ",", ProducerInterceptor, kafka + "Class  cannot be found, java.lang.ClassNotFoundException: "},
		{"interceptor.classes", ProducerInterceptor, ProducerInterceptor, kafka + "Could not find a public no-argument constructor for " +
			ProducerInterceptor + ", java.lang.NoSuchMethodException: " + ProducerInterceptor + ".<init>()"},
		{"interceptor.classes", "java.lang.String", ProducerInterceptor, "java.lang.ClassCastException: class java.lang.String"},
		{"partitioner.class", "java.lang.String", Partitioner, kafka + "class java.lang.String is not an instance of " + Partitioner},
		{"partitioner.class", RoundRobinPartitioner, Partitioner, ""},
	} {
		config, err := New(Producer, Properties{tt.name: tt.value})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := config.CheckInstances(tt.name, tt.wanted); err != nil {
			got = throwable.String(err)
			if cause := throwable.From(err).Cause; cause != nil {
				got += ", " + throwable.String(cause)
			}
		}
		if got != tt.want {
			t.Errorf("%s=%s gives %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	config, err := New(Admin, Properties{"retry.backoff.ms": "5000", "socket.connection.setup.timeout.max.ms": "-1", "reconnect.backoff.ms": "60"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Configuration 'retry.backoff.ms' with value '5000' is greater than configuration 'retry.backoff.max.ms' with value '1000'. " +
			"A static backoff with value '1000' will be applied.",
		"Configuration 'socket.connection.setup.timeout.ms' with value '10000' is greater than configuration " +
			"'socket.connection.setup.timeout.max.ms' with value '-1'. A static connection setup timeout with value '-1' will be applied.",
		"Disabling exponential reconnect backoff because reconnect.backoff.ms is set, but reconnect.backoff.max.ms is not.",
	}
	if got := config.Warnings(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLoadOption checks what a file that an option names can be besides one with properties.
func TestLoadOption(t *testing.T) {
	dir := t.TempDir()
	malformed := filepath.Join(dir, "malformed.properties")
	if err := os.WriteFile(malformed, []byte("a=\\uZZZZ\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	parser := jopt.New(jopt.Value("config", "file", ""))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--config="}, "joptsimple.OptionMissingRequiredArgumentException: Option config requires an argument"},
		{[]string{"--config", ""}, "java.io.IOException: Is a directory"},
		{[]string{"--config", dir}, "java.io.IOException: Is a directory"},
		{[]string{"--config", filepath.Join(dir, "none")}, "java.nio.file.NoSuchFileException: " + filepath.Join(dir, "none")},
		{[]string{"--config", malformed}, `java.lang.IllegalArgumentException: Malformed \uxxxx encoding.`},
	} {
		options, err := parser.Parse(tt.args)
		if err == nil {
			_, err = LoadOption(options, "config")
		}
		got := ""
		if err != nil {
			got = throwable.String(err)
		}
		if got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "client.properties")
	content := "# comment\nclient.id = me\nkey.separator: \\t\nempty=\nlong=a\\\n  b\nreference=${client.id}\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"client.id": "me", "key.separator": "\t", "empty": "", "long": "ab", "reference": "${client.id}"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestMergeOption(t *testing.T) {
	parser := jopt.New(jopt.Option{Name: "timeout", Arity: jopt.Required, Kind: jopt.Long, Default: "1000"})
	for _, tt := range []struct {
		args []string
		set  Properties
		want string
	}{
		{nil, Properties{}, "1000"},
		{nil, Properties{"linger.ms": "5"}, "5"},
		{[]string{"--timeout", "7"}, Properties{"linger.ms": "5"}, "7"},
	} {
		options, err := parser.Parse(tt.args)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.set.MergeNumber("linger.ms", options, "timeout"); err != nil || tt.set["linger.ms"] != tt.want {
			t.Errorf("%v gives %q, %v, want %q", tt.args, tt.set["linger.ms"], err, tt.want)
		}
	}
	options, _ := parser.Parse([]string{"--timeout", "x"})
	if err := (Properties{}).MergeNumber("linger.ms", options, "timeout"); err == nil {
		t.Error("x was taken for a number")
	}
}

func TestParsePairs(t *testing.T) {
	got := ParsePairs([]string{"a=1", "b", "c=", "d=x=y", "a=2"})
	for name, want := range map[string]string{"a": "2", "b": "", "c": "", "d": "x=y"} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
}
