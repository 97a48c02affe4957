package client

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type lockedWriter struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func testEnv() (*tool.Env, *lockedWriter) {
	w := &lockedWriter{}
	return &tool.Env{Stdout: w, Stderr: w, Now: time.Now, Kafka: true}, w
}

func TestSplitAddress(t *testing.T) {
	tests := []struct {
		text, host string
		port       int
		ok         bool
	}{
		{"localhost:9092", "localhost", 9092, true},
		{"PLAINTEXT://broker-1.example.com:9092", "broker-1.example.com", 9092, true},
		{"[::1]:9092", "::1", 9092, true},
		{"localhost", "", 0, false},
		{"localhost:", "", 0, false},
		{"localhost:port", "", 0, false},
		{":9092", "localhost", 9092, true},
		{"localhost:99999999999", "localhost", 1<<31 - 1, true},
		{"x !127.0.0.1:9092", "127.0.0.1", 9092, true},
	}
	for _, tt := range tests {
		host, port, ok := SplitAddress(tt.text)
		if host != tt.host || port != tt.port || ok != tt.ok {
			t.Errorf("%q is %q, %d, %v", tt.text, host, port, ok)
		}
	}
}

func TestBootstrap(t *testing.T) {
	tests := []struct {
		client  clientconf.Client
		servers string
		want    string // addresses, or the error
	}{
		{clientconf.Admin, "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1 127.0.0.1:2"},
		{clientconf.Admin, "", "You must set either bootstrap.servers or bootstrap.controllers"},
		{clientconf.Consumer, "", "No resolvable bootstrap urls given in bootstrap.servers"},
		{clientconf.Admin, "127.0.0.1", "Invalid url in bootstrap.servers: 127.0.0.1"},
		{clientconf.Admin, ":9092", "localhost:9092"},
		{clientconf.Admin, ",", "No resolvable bootstrap urls given in bootstrap.servers"},
		{clientconf.Admin, ",127.0.0.1:1,,!127.0.0.1:2", "127.0.0.1:1 127.0.0.1:2"},
		{clientconf.Admin, "127.0.0.1:99999999999", "Invalid port in bootstrap.servers: 127.0.0.1:99999999999"},
		{clientconf.Admin, "127.0.0.1:70000", "Invalid port in bootstrap.servers: 127.0.0.1:70000"},
		{clientconf.Admin, "SSL://[::1]:9092", "[::1]:9092"},
	}
	for _, tt := range tests {
		config, err := clientconf.New(tt.client, clientconf.Properties{"bootstrap.servers": tt.servers})
		if err != nil {
			t.Fatal(err)
		}
		env, _ := testEnv()
		servers, err := bootstrap(env, config)
		got := strings.Join(servers, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.servers, got, tt.want)
		}
	}
}

func TestCheckAddresses(t *testing.T) {
	for list, want := range map[string]string{
		"a:1,b:2":       "",
		"a:1,":          "",
		"":              "Please provide valid host:port like host1:9091,host2:9092\n",
		",":             "Please provide valid host:port like host1:9091,host2:9092\n",
		"a:1, b:2,!c:3": "",
		"a:99999999999": `For input string: "99999999999"`,
		"a:1,b":         "Please provide valid host:port like host1:9091,host2:9092\n",
	} {
		got := ""
		if err := CheckAddresses(list); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q gives %q, want %q", list, got, want)
		}
	}
}

// TestUnreachable checks that a call to a cluster that is not there ends when time is up, and what is logged.
func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	file := filepath.Join(t.TempDir(), "client.properties")
	options, err := jopt.New(jopt.Value("config", "file", "")).Parse([]string{"--config", file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("default.api.timeout.ms=300\nrequest.timeout.ms=300\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env, log := testEnv()
	admin, err := NewAdmin(env, address, options, "config", "")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	_, err = admin.Metadata(context.Background(), "listTopics", kmsg.NewPtrMetadataRequest())
	want := "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment. Call: listTopics"
	if err == nil || throwable.String(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	line := "WARN [AdminClient clientId=adminclient-1] Connection to node -1 (/" + address + ") could not be established. " +
		"Node may not be available. (org.apache.kafka.clients.NetworkClient)\n"
	if strings.Count(log.b.String(), line) < 2 {
		t.Errorf("the log has not two lines\n%s\nbut\n%s", line, log.b.String())
	}
}

func TestBackoff(t *testing.T) {
	config, err := clientconf.New(clientconf.Admin, clientconf.Properties{})
	if err != nil {
		t.Fatal(err)
	}
	wait := backoff(config)
	for failed, want := range map[int]time.Duration{0: 100, 1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 1000: 1000} {
		want *= time.Millisecond
		if got := wait(failed); got < want*79/100 || got > want*121/100 {
			t.Errorf("after %d failures it waits %v, want about %v", failed, got, want)
		}
	}
}

func TestSecurity(t *testing.T) {
	dir := t.TempDir()
	noPEM := filepath.Join(dir, "trust.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	const jaas = `org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";`
	tests := []struct {
		properties clientconf.Properties
		options    int
		want       string
	}{
		{clientconf.Properties{}, 0, ""},
		{clientconf.Properties{"security.protocol": "SSL"}, 2, ""},
		{clientconf.Properties{"security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.jaas.config": jaas}, 3, ""},
		{clientconf.Properties{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": jaas}, 1, ""},
		{clientconf.Properties{"security.protocol": "SASL_PLAINTEXT", "sasl.jaas.config": jaas}, 0,
			"sasl.mechanism=GSSAPI is not supported by gregorctl: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
		{clientconf.Properties{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}, 0,
			"Could not find a 'KafkaClient' entry in the JAAS configuration. System property 'java.security.auth.login.config' is not set"},
		{clientconf.Properties{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.jaas.config": "x;"}, 0,
			`sasl.jaas.config has no username="...": it is needed for sasl.mechanism=PLAIN`},
		{clientconf.Properties{"security.protocol": "SSL", "ssl.truststore.location": "a.jks"}, 0,
			"ssl.truststore.type=JKS is not supported by gregorctl: use PEM and a file of certificates"},
		{clientconf.Properties{"security.protocol": "SSL", "ssl.truststore.location": noPEM, "ssl.truststore.type": "PEM"}, 0,
			"ssl.truststore holds no PEM certificate"},
	}
	for _, tt := range tests {
		config, err := clientconf.New(clientconf.Admin, tt.properties)
		if err != nil {
			t.Fatal(err)
		}
		options, err := securityOptions(config)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want || err == nil && len(options) != tt.options {
			t.Errorf("%v gives %d options and %q, want %d and %q", tt.properties, len(options), got, tt.options, tt.want)
		}
	}
}
