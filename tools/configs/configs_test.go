package configs

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
	"github.com/gregor-mq/gregor/zkutil"
)

func parse(t *testing.T, args ...string) *command {
	t.Helper()
	set, err := options().Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return &command{options: set, env: &tool.Env{Stdout: &strings.Builder{}}}
}

func TestCheck(t *testing.T) {
	const server, forBrokers = "--bootstrap-server s ", " with a --bootstrap-server or --bootstrap-controller argument"
	tests := []struct{ args, want string }{
		{server + "--describe --entity-type topics", "topics: "},
		{server + "--describe --entity-type users --entity-default --entity-type clients --entity-name c", "users,clients: ,c"},
		{server + "--describe --entity-type users --entity-name u --entity-type clients --entity-default", "users,clients: u,"},
		{server + "--describe --user u --client c", "clients,users: c,u"},
		{server + "--describe --user-defaults --client c", "clients,users: c,"},
		{server + "--alter --broker 1 --add-config a=b", "brokers: 1"},
		{"--zookeeper z --describe --entity-type users", "users: "},
		{server + "--entity-type topics", "Command must include exactly one action: --describe, --alter"},
		{server + "--describe --alter --topic t", "Command must include exactly one action: --describe, --alter"},
		{server + "--describe --topic t --add-config a=b", `Option "[describe]" can't be used with option "[add-config]"`},
		{server + "--describe", "At least one entity type must be specified"},
		{server + "--describe --entity-type users --entity-type users", "Duplicate entity type(s) specified: users"},
		{server + "--describe --entity-type groups", "Invalid entity type groups, the entity type must be one of topics, clients, users, brokers, ips, broker-loggers, client-metrics" + forBrokers},
		{"--describe --topic t", "Invalid entity type topics, the entity type must be one of users, brokers with a --zookeeper argument"},
		{server + "--describe --entity-type topics --entity-type users", "Only 'users' and 'clients' entity types may be specified together"},
		{server + "--describe --entity-type users --client c", "--entity-{type,name,default} should not be used in conjunction with specific entity flags"},
		{"--describe --user u", "One of the required --bootstrap-server, --boostrap-controller, or --zookeeper arguments must be specified"},
		{server + "--zookeeper z --describe --user u", "Only one of --bootstrap-server, --boostrap-controller, and --zookeeper can be specified"},
		{"--zookeeper z --describe --user u --all", "--bootstrap-server must be specified for --all"},
		{server + "--describe --user u --zk-tls-config-file f", "Only the --zookeeper option can be used with the --zk-tls-config-file option."},
		{server + "--describe --broker x", "The entity name for brokers must be a valid integer broker id, but it is: x"},
		{server + "--describe --ip not!", "The entity name for ips must be a valid IP or resolvable host, but it is: not!"},
		{server + "--describe --entity-type broker-loggers", "an entity name must be specified with --describe of broker-loggers"},
		{server + "--alter --entity-type users --add-config a=b", "an entity-name or default entity must be specified with --alter of users, clients, brokers or ips"},
		{server + "--alter --entity-type topics --add-config a=b", "an entity name must be specified with --alter of topics"},
		{server + "--alter --topic t --add-config a=b --add-config-file f", "Only one of --add-config or --add-config-file must be specified"},
		{server + "--alter --topic t", "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"},
	}
	for _, tt := range tests {
		c := parse(t, strings.Fields(tt.args)...)
		got := ""
		if err := c.check(); err != nil {
			got = err.Error()
		} else {
			got = strings.Join(c.types, ",") + ": " + strings.Join(c.names, ",")
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestParsePairs(t *testing.T) {
	tests := []struct{ text, want string }{
		{"a=b", "a=b"},
		{"a=b,c=d", "a=b c=d"},
		{" a = b , c=[d,e=f] ", "a=b c=d,e=f"},
		{"SCRAM-SHA-256=[iterations=8192,password=x],SCRAM-SHA-512=[password=y]", "SCRAM-SHA-256=iterations=8192,password=x SCRAM-SHA-512=password=y"},
		{"a=", "a="},
		{"a=b,,", "a=b"},
		{"a", "refused"},
		{"a=b=c", "refused"},
		{",a=b", "refused"},
		{"", "refused"},
	}
	for _, tt := range tests {
		pairs, ok := parsePairs(tt.text)
		var parts []string
		for _, pair := range pairs {
			parts = append(parts, pair[0]+"="+pair[1])
		}
		got := strings.Join(parts, " ")
		if !ok {
			got = "refused"
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParsePairs(f *testing.F) {
	f.Add("a=[b,c],d = e,")
	f.Fuzz(func(t *testing.T, text string) {
		pairs, _ := parsePairs(text)
		for _, pair := range pairs {
			if !strings.Contains(text, pair[0]) || strings.ContainsAny(pair[1], "[]") {
				t.Errorf("%q gives %q", text, pair)
			}
		}
	})
}

func TestAdded(t *testing.T) {
	tests := []struct{ config, want string }{
		{"a=1,b=2", ""},
		{"a b=1", "Invalid character found for config key: a b"},
		{"a", "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\"."},
	}
	for _, tt := range tests {
		set, err := parse(t, "--add-config", tt.config).added()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want || err == nil && (set["a"] != "1" || set["b"] != "2") {
			t.Errorf("%s: got %v, %q", tt.config, set, got)
		}
	}
	if got := parse(t, "--delete-config", "a, b,,c", "--delete-config", "d", "--delete-config", "", "--delete-config", ",").deleted(); !slices.Equal(got, []string{"a", "b", "c", "d", "", ","}) {
		t.Errorf("deleted: %q", got)
	}
}

// TestCredential computes what Kafka stored in ZooKeeper for the password bob-secret.
func TestCredential(t *testing.T) {
	m := mechanism("SCRAM-SHA-256")
	c, err := m.newCredential("iterations=8192,password=bob-secret", credentialToBroker, m.name)
	if err != nil {
		t.Fatal(err)
	}
	if c.salt, err = base64.StdEncoding.DecodeString("c2hiMnJ1YzNjam9yYTcyYTNubjVjY2k5bw=="); err != nil {
		t.Fatal(err)
	}
	const want = "salt=c2hiMnJ1YzNjam9yYTcyYTNubjVjY2k5bw==,stored_key=GszANljwScfwsiu2jKygTffJDuWLpe6OCOQaAOH1Vfk=," +
		"server_key=k+KkL+daA5WHfqT/MaB4SpmM2DstK6dRMRF+z1RoTNA=,iterations=8192"
	if got, err := m.stored(c); got != want || err != nil {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestCredentialText(t *testing.T) {
	const invalid, few = "Invalid credential property SCRAM_SHA_512=", "Iterations 5 is less than the minimum 4096 required for SCRAM-SHA-512"
	tests := []struct {
		text       string
		iterations int
		err        string
	}{
		{text: "password=x", iterations: 4096},
		{text: "iterations=-1,password=x,y", iterations: 4096},
		{text: "iterations=5000,password=", iterations: 5000},
		{text: "iterations=5,password=x", err: few},
		{text: "iterations=5000", err: invalid + "iterations=5000"},
		{text: "iterations=,password=x", err: `For input string: ""`},
	}
	m := mechanism("SCRAM-SHA-512")
	for _, tt := range tests {
		c, err := m.newCredential(tt.text, credentialToBroker, m.name)
		switch {
		case tt.err == "" && (err != nil || c.iterations != tt.iterations || len(c.salt) == 0):
			t.Errorf("%s: got %+v, %v", tt.text, c, err)
		case tt.err != "" && (err == nil || err.Error() != tt.err):
			t.Errorf("%s: got %v, want %s", tt.text, err, tt.err)
		}
	}
	if _, err := m.newCredential("iterations=-1,password=x", credentialToZooKeeper, m.constant); err == nil {
		t.Error("-1 iterations were taken for ZooKeeper")
	}
}

func TestStoredBroker(t *testing.T) {
	const password = "listener.name.external.ssl.key.password"
	stored, err := storedBroker(map[string]string{password: "x", "password.encoder.secret": "s", "background.threads": "5"}, true)
	if err != nil || len(stored) != 2 || stored["background.threads"] != "5" || !strings.Contains(stored[password], "encryptedPassword:") {
		t.Errorf("got %v, %v", stored, err)
	}
	for _, tt := range []struct {
		set  map[string]string
		want string
	}{
		{map[string]string{"broker.rack": "r"}, "org.apache.kafka.common.config.ConfigException: Cannot update these configs dynamically: Set(broker.rack)"},
		{map[string]string{password: "x"}, "java.lang.IllegalArgumentException: requirement failed: password.encoder.secret must be specified to update Set(" + password + ")."},
		{map[string]string{password: "x", "password.encoder.secret": "s", "password.encoder.iterations": "z"}, `java.lang.NumberFormatException: For input string: "z"`},
	} {
		if _, err := storedBroker(tt.set, true); err == nil || !strings.HasPrefix(throwable.String(err), tt.want) {
			t.Errorf("%v: got %v, want %s", tt.set, err, tt.want)
		}
	}
}

// TestZooKeeperOrder checks the order in which Kafka's tool was seen to show users.
func TestZooKeeperOrder(t *testing.T) {
	name := func(s string) zkutil.Entity { return zkutil.UserEntity(&s) }
	want := []zkutil.Entity{zkutil.UserEntity(nil), name("bob"), name("täst"), name("CN=a b,O=c")}
	got := append(slices.Clone(want[1:]), want[0])
	sortAsZooKeeper(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
