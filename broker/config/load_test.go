package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/properties"
)

func TestTOML(t *testing.T) {
	tests := []struct {
		name, text string
		want       map[string]string
		err        string
	}{
		{name: "quoted names", text: "\"max.connections\" = 10\n\"max.connections.per.ip\" = 5",
			want: map[string]string{"max.connections": "10", "max.connections.per.ip": "5"}},
		{name: "types", text: "\"a\" = \"x\"\n\"b\" = true\n\"c\" = 0.5\n\"d\" = 1_000\n\"e\" = [\"/a\", \"/b\"]\n\"f\" = [1, 2]\n\"g\" = []\n\"h\" = 1e300",
			want: map[string]string{"a": "x", "b": "true", "c": "0.5", "d": "1000", "e": "/a,/b", "f": "1,2", "g": "", "h": "1.0E300"}},
		{name: "unquoted names and tables", text: "broker.id = 1\n[log]\ndirs = \"/a\"\n[log.retention]\nhours = 2",
			want: map[string]string{"broker.id": "1", "log.dirs": "/a", "log.retention.hours": "2"}},
		{name: "broken", text: "\"broker.id\" = 1\n\"log.dirs\" = /a\n", err: "line 2: "},
		{name: "quoted and not", text: "\"broker.id\" = 1\n[broker]\nid = 2", err: "broker.id is set twice"},
		{name: "date", text: "\"broker.id\" = 1979-05-27", err: "broker.id: a value must be a string"},
		{name: "list of lists", text: "\"log.dirs\" = [[\"/a\"]]", err: "log.dirs: a list cannot hold lists"},
		{name: "tables in a list", text: "[[listeners]]\nport = 1", err: "listeners: a value must be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseTOML([]byte(tt.text))
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFormatByNameOrContent(t *testing.T) {
	tests := []struct{ file, text string }{
		{"broker.toml", `"broker.id" = 7`},
		{"server.properties", "broker.id=7\nlog.dirs=/a b"},
		{"server.conf", "broker.id=7\nlisteners=PLAINTEXT://:9092"},
		{"broker", "\"broker.id\" = 7 # TOML"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			set, err := Parse(tt.file, []byte(tt.text))
			if err != nil || set["broker.id"] != "7" {
				t.Errorf("got %v, %v", set, err)
			}
		})
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestKafkasServerProperties loads a file with what the one in Kafka's distribution sets.
func TestKafkasServerProperties(t *testing.T) {
	file := write(t, "server.properties", `# see kafka.server.KafkaConfig
broker.id=0
#listeners=PLAINTEXT://:9092
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kafka-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.retention.check.interval.ms=300000
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=18000
group.initial.rebalance.delay.ms=0
`)
	c, warnings, err := Load(file, []string{"broker.id=5", "log.dirs= /b , /c", "broker.rack=x=y"})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if c.BrokerID() != 5 || c.Int("node.id") != 5 || c.Text("broker.rack") != "x=y" || strings.Join(c.LogDirs(), "|") != "/b|/c" {
		t.Errorf("the overrides do not count: %s", c.Summary())
	}
}

func TestUnknownPropertiesAreOneWarning(t *testing.T) {
	_, warnings, err := New(map[string]string{"zookeeper.connect": "z", "super.users": "User:a",
		"confluent.tier": "1", "leader.replication.throttled.rate": "5", "config.providers": "",
		"listener.name.plaintext.max.connections": "5", "listener.name.plaintext.scram-sha-256.sasl.jaas.config": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.HasSuffix(string(warnings[0]), ": config.providers, confluent.tier, leader.replication.throttled.rate, super.users") {
		t.Errorf("warnings %q", warnings)
	}
}

// TestPropertiesOfNoListenerAreOneWarning: Kafka looks for a listener's properties under its name in lower case, and
// does not even parse others.
func TestPropertiesOfNoListenerAreOneWarning(t *testing.T) {
	c, warnings, err := New(map[string]string{"zookeeper.connect": "z", "listeners": "PLAINTEXT://:1,External://:2",
		"listener.security.protocol.map":            "PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT",
		"listener.name.EXTERNAL.max.connections":    "many",
		"listener.name.internal.max.connections":    "5",
		"listener.name.external.max.connections":    "7",
		"listener.name.plaintext.ssl.keystore.type": "PEM"})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.HasSuffix(string(warnings[0]), ": listener.name.EXTERNAL.max.connections, listener.name.internal.max.connections") {
		t.Errorf("warnings %q", warnings)
	}
	if n, set := c.ListenerInt("EXTERNAL", "max.connections"); !set || n != 7 {
		t.Errorf("the listener's limit is %d, %v", n, set)
	}
}

// TestEverythingWrongIsSaidAtOnce also holds the messages to what an operator needs: the property,
// the value, and what is allowed or to be done.
func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	file := write(t, "broker.toml", `
"num.partitions" = 0
"num.io.threads" = "abc"
"log.cleanup.policy" = ["delete", "shred"]
"compression.gzip.level" = 10
"auto.create.topics.enable" = "yes"
"authorizer.class.name" = "kafka.security.authorizer.AclAuthorizer"
"process.roles" = "broker"
"delegation.token.secret.key" = "hush"
"listener.name.plaintext.max.connections" = -1
"listener.name.tls.max.connection.creation.rate" = "many"
"metric.reporters" = ""
"listeners" = ["PLAINTEXT://:9092", "TLS://:9093"]
`)
	_, _, err := Load(file, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		file + ": 10 problems",
		"Invalid value 0 for configuration num.partitions: Value must be at least 1",
		"Invalid value abc for configuration num.io.threads: Not a number of type INT",
		"Invalid value shred for configuration log.cleanup.policy: String must be one of: compact, delete",
		"Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
		"Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false",
		"Invalid value -1 for configuration listener.name.plaintext.max.connections: Value must be at least 0",
		"Invalid value many for configuration listener.name.tls.max.connection.creation.rate: Not a number of type INT",
		"authorizer.class.name=kafka.security.authorizer.AclAuthorizer is not supported and must be removed",
		"process.roles=broker is not supported and must be removed. The roles of a node in KRaft mode; Gregor keeps the cluster in ZooKeeper.",
		"delegation.token.secret.key=[hidden] is not supported",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

// TestEveryMistakeIsSaidOnce: of the property that was written, in one line.
func TestEveryMistakeIsSaidOnce(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"broker.id", "abc", "Invalid value abc for configuration broker.id: Not a number of type INT"},
		{"node.id", "abc", "Invalid value abc for configuration node.id: Not a number of type INT"},
		{"broker.id", "-2", "broker.id=-2: requirement failed: broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id"},
		{"inter.broker.protocol.version", "4.0", "Invalid value 4.0 for configuration inter.broker.protocol.version: Version 4.0 is not a valid version"},
		{"listeners", "", "advertised.listeners: requirement failed: There must be at least one broker advertised listener."},
		{"advertised.listeners", "", "advertised.listeners=: requirement failed: There must be at least one broker advertised listener."},
		{"zookeeper.session.timeout.ms", "-1", "Invalid value -1 for configuration zookeeper.session.timeout.ms: Value must be at least 0"},
		{"zookeeper.connection.timeout.ms", "-1", "Invalid value -1 for configuration zookeeper.connection.timeout.ms: Value must be at least 0"},
	} {
		if _, _, err := Load("", []string{tt.name + "=" + tt.value}); err == nil || err.Error() != "configuration: "+tt.want {
			t.Errorf("%s=%s: got %v, want %s", tt.name, tt.value, err, tt.want)
		}
	}
}

func TestConflictsAreSaidAtOnce(t *testing.T) {
	_, problems := build(map[string]string{
		"listeners":                      "PLAINTEXT://:9092,TLS://:9093,BIG://:70000",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,TLS:SSL,BIG:PLAINTEXT",
		"broker.id":                      "-2",
		"log.dirs":                       ",",
		"max.connections.per.ip":         "0",
		"connections.max.idle.ms":        "50",
		"log.retention.ms":               "0",
		"controller.listener.names":      "CONTROLLER",
		"config.providers":               "file",
	})
	wants := []string{
		"Missing required configuration `zookeeper.connect` which has no default value.",
		"requirement failed: broker.id must be greater than or equal to -1",
		"listeners: listener TLS has security protocol SSL, which is not supported; use PLAINTEXT",
		"listeners: port 70000 of listener BIG must be between 0 and 65535",
		"requirement failed: At least one log directory must be defined via log.dirs or log.dir.",
		"requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
		"requirement failed: connection.failed.authentication.delay.ms=100 should always be less than connections.max.idle.ms=50",
		"requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
		"requirement failed: controller.listener.names must be empty when not running in KRaft mode: [CONTROLLER]",
		"config.providers=file is not supported and must be removed",
	}
	for _, want := range wants {
		found := false
		for _, p := range problems {
			found = found || strings.HasPrefix(p.Text, want)
		}
		if !found {
			t.Errorf("no problem %q", want)
		}
	}
	if t.Failed() {
		for _, p := range problems {
			t.Log(p.Text)
		}
	}
}

func FuzzTOML(f *testing.F) {
	f.Add([]byte("# a comment\n\"num.partitions\" = 3\n\"log.dirs\" = [\"/a\"]\n\"log.cleaner.min.cleanable.ratio\" = 0.5\n"))
	f.Add([]byte("\"broker.id\" = 1\n[log]\ndirs = [\"/a\", 2, true]\n"))
	f.Add([]byte("a.b = 1\n\"a.b\" = 0x1F\n\"c\" = inf"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if set, err := parseTOML(data); err == nil {
			build(set)
		}
	})
}

func FuzzProperties(f *testing.F) {
	f.Add([]byte("broker.id=1\nlisteners = A://[::1]:9092,\\\n B://h:1\n"))
	f.Add([]byte("a=\\u00e9\\\\\\\n!x\r\nzookeeper.connect: z\nlog.retention.ms 5\\"))
	f.Add([]byte("listener.security.protocol.map=A:PLAINTEXT\ninter.broker.listener.name=a\nlisteners=A://:1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := properties.Parse(data)
		if err != nil {
			return
		}
		c, problems := build(set)
		if len(problems) > 0 {
			return
		}
		c.DescribeBroker() // of a configuration that is accepted, everything can be asked
		if _, err := c.Topic(nil); err != nil {
			t.Errorf("an accepted configuration has no topic defaults: %v", err)
		}
	})
}
