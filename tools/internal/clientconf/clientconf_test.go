package clientconf

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
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
		{Producer, "compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be at least 1"},
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
