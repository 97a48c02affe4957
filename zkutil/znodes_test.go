package zkutil

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/topic"
)

func TestSanitize(t *testing.T) {
	tests := []struct{ name, want string }{ // made by Kafka's Sanitizer
		{"a b~*+/:@%é<default>", "a%20b%7E%2A%2B%2F%3A%40%25%C3%A9%3Cdefault%3E"},
		{"User:CN=x,OU=y", "User%3ACN%3Dx%2COU%3Dy"},
		{"a.b_c-d", "a.b_c-d"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := Sanitize(tt.name); got != tt.want {
			t.Errorf("Sanitize(%q) = %q, want %q", tt.name, got, tt.want)
		}
		if got, err := Desanitize(tt.want); err != nil || got != tt.name {
			t.Errorf("Desanitize(%q) = %q, %v", tt.want, got, err)
		}
	}
	if got, _ := Desanitize("a+b"); got != "a b" {
		t.Errorf("Desanitize(a+b) = %q, want the space that URLDecoder gives", got)
	}
	if _, err := Desanitize("%zz"); err == nil {
		t.Error("Desanitize(%zz) succeeds")
	}
}

func TestEntities(t *testing.T) {
	alice, odd := "alice", "<default>"
	tests := []struct {
		entity     Entity
		path       string
		kind, name string
	}{
		{TopicEntity("a.b"), "/config/topics/a.b", "topics", "a.b"},
		{BrokerEntity(7), "/config/brokers/7", "brokers", "7"},
		{DefaultBrokers, "/config/brokers/<default>", "brokers", "<default>"},
		{UserEntity(&alice), "/config/users/alice", "users", "alice"},
		{UserEntity(nil), "/config/users/<default>", "users", "<default>"},
		{UserEntity(&odd), "/config/users/%3Cdefault%3E", "users", "%3Cdefault%3E"},
		{"clients/app%201", "/config/clients/app%201", "clients", "app%201"},
		{"users/alice/clients/app%201", "/config/users/alice/clients/app%201", "users", "alice"},
		{"users/<default>/clients/<default>", "/config/users/<default>/clients/<default>", "users", "<default>"},
		{"ips/<default>", "/config/ips/<default>", "ips", "<default>"},
	}
	for _, tt := range tests {
		if tt.entity.Path() != tt.path || tt.entity.Type() != tt.kind || tt.entity.Name() != tt.name || !tt.entity.Valid() {
			t.Errorf("%q: path %q, type %q, name %q, valid %v", tt.entity, tt.entity.Path(), tt.entity.Type(), tt.entity.Name(), tt.entity.Valid())
		}
	}
	for _, bad := range []Entity{"", "topics", "topics/", "topics/a/b", "users/a/topics/b", "users/a/clients", "others/a", "/topics/a"} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestDecodeBrokerVersions(t *testing.T) {
	plain := func(listener string) []Endpoint {
		return []Endpoint{{Listener: listener, Host: "h", Port: 9092, SecurityProtocol: "PLAINTEXT"}}
	}
	tests := []struct {
		name, data, wantErr string
		want                Broker
	}{
		{name: "v1 has host and port", data: `{"version":1,"host":"h","port":9092,"jmx_port":-1,"timestamp":"5"}`,
			want: Broker{Version: 1, Endpoints: plain("PLAINTEXT"), JMXPort: -1, Timestamp: 5}},
		{name: "v2 names listeners after protocols", data: `{"version":2,"host":"x","port":1,"jmx_port":9,"timestamp":"5","endpoints":["plaintext://h:9092"]}`,
			want: Broker{Version: 2, Endpoints: plain("PLAINTEXT"), JMXPort: 9, Timestamp: 5}},
		{name: "v3 adds the rack", data: `{"version":3,"jmx_port":9,"endpoints":["PLAINTEXT://h:9092"],"rack":"r","surprise":{}}`,
			want: Broker{Version: 3, Endpoints: plain("PLAINTEXT"), JMXPort: 9, Rack: "r"}},
		{name: "v4 adds the protocol map", data: `{"version":4,"jmx_port":9,"endpoints":["CLIENTS://h:9092"],"rack":null,"listener_security_protocol_map":{"clients":"PLAINTEXT"}}`,
			want: Broker{Version: 4, Endpoints: plain("CLIENTS"), JMXPort: 9}},
		{name: "v5 adds features", data: `{"version":5,"jmx_port":9,"endpoints":["CLIENTS://h:9092"],"listener_security_protocol_map":{"CLIENTS":"PLAINTEXT"},"features":{"f":{"min_version":1,"max_version":3}}}`,
			want: Broker{Version: 5, Endpoints: plain("CLIENTS"), JMXPort: 9, Features: map[string]VersionRange{"f": {1, 3}}}},
		{name: "later versions", data: `{"version":6,"jmx_port":9,"endpoints":["SSL://[::1]:9092"],"more":1}`,
			want: Broker{Version: 6, Endpoints: []Endpoint{{"SSL", "::1", 9092, "SSL"}}, JMXPort: 9}},
		{name: "no host", data: `{"version":2,"jmx_port":9,"endpoints":["SSL://:9092"]}`,
			want: Broker{Version: 2, Endpoints: []Endpoint{{"SSL", "", 9092, "SSL"}}, JMXPort: 9}},
		{name: "version 0", data: `{"version":0,"jmx_port":9}`, wantErr: "unsupported version 0"},
		{name: "no JMX port", data: `{"version":2,"endpoints":[]}`, wantErr: `no "jmx_port"`},
		{name: "listener without protocol", data: `{"version":4,"jmx_port":9,"endpoints":["A://h:1"],"listener_security_protocol_map":{}}`, wantErr: "no security protocol"},
		{name: "unknown protocol", data: `{"version":2,"jmx_port":9,"endpoints":["A://h:1"]}`, wantErr: "unknown security protocol"},
		{name: "bad endpoint", data: `{"version":2,"jmx_port":9,"endpoints":["h:1"]}`, wantErr: "is not LISTENER://host:port"},
		{name: "text for a number", data: `{"version":"2","jmx_port":9}`, wantErr: `"version"`},
		{name: "no JSON", data: `{`, wantErr: "not JSON"},
		{name: "no object", data: `[]`, wantErr: "not a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeBroker(3, []byte(tt.data), Stat{Czxid: 77})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			tt.want.ID, tt.want.Epoch = 3, 77
			if diff := cmp.Diff(&tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, (-want +got)\n%s", err, diff)
			}
		})
	}
}

func TestEncodeBroker(t *testing.T) {
	b := Broker{
		Version: 5, JMXPort: -1, Timestamp: 12, Rack: "a<b",
		Endpoints: []Endpoint{{"REPL", "h", 2, "SASL_SSL"}, {"CLIENTS", "::1", 1, "PLAINTEXT"}},
	}
	tests := []struct {
		version int
		want    string
	}{
		{5, `{"features":{},"listener_security_protocol_map":{"REPL":"SASL_SSL","CLIENTS":"PLAINTEXT"},"endpoints":["REPL://h:2","CLIENTS://[::1]:1"],"rack":"a<b","jmx_port":-1,"port":1,"host":"::1","version":5,"timestamp":"12"}`},
		{4, `{"listener_security_protocol_map":{"REPL":"SASL_SSL","CLIENTS":"PLAINTEXT"},"endpoints":["REPL://h:2","CLIENTS://[::1]:1"],"rack":"a<b","jmx_port":-1,"port":1,"host":"::1","version":4,"timestamp":"12"}`},
		{2, `{"endpoints":["REPL://h:2","CLIENTS://[::1]:1"],"jmx_port":-1,"port":1,"host":"::1","version":2,"timestamp":"12"}`},
	}
	for _, tt := range tests {
		b.Version = tt.version
		if got := string(b.Encode()); got != tt.want {
			t.Errorf("version %d:\ngot  %s\nwant %s", tt.version, got, tt.want)
		}
	}
	b = Broker{Endpoints: []Endpoint{{"S", "h", 2, "SSL"}}}
	if got := string(b.Encode()); !strings.Contains(got, `"port":-1,"host":null,"version":5`) {
		t.Errorf("without a plain text listener: %s", got)
	}
}

func TestDecodeTopicVersions(t *testing.T) {
	id, _ := topic.ParseID("ASNFZ4mrze-BI0VniavN7w")
	tests := []struct {
		name, data, wantErr string
		want                Topic
	}{
		{name: "v1", data: `{"version":1,"partitions":{"0":[1,2],"10":[]}}`,
			want: Topic{Partitions: map[int32]Assignment{0: {Replicas: []int32{1, 2}}, 10: {Replicas: []int32{}}}}},
		{name: "v3", data: `{"version":3,"topic_id":"ASNFZ4mrze-BI0VniavN7w","partitions":{"0":[3,4,1]},"adding_replicas":{"0":[4],"9":[1]},"removing_replicas":{"0":[1]},"x":1}`,
			want: Topic{ID: id, Partitions: map[int32]Assignment{0: {[]int32{3, 4, 1}, []int32{4}, []int32{1}}}}},
		{name: "no JSON is no partitions", data: `{"partitions"`, want: Topic{Partitions: map[int32]Assignment{}}},
		{name: "no data", data: ``, want: Topic{Partitions: map[int32]Assignment{}}},
		{name: "bad index", data: `{"partitions":{"x":[1]}}`, wantErr: "not the index"},
		{name: "negative index", data: `{"partitions":{"-1":[1]}}`, wantErr: "not the index"},
		{name: "text as id", data: `{"partitions":{"0":["1"]}}`, wantErr: "partitions"},
		{name: "null as id", data: `{"partitions":{"0":[null]}}`, wantErr: "null"},
		{name: "bad topic id", data: `{"topic_id":"x"}`, wantErr: "topic id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeTopic("t", []byte(tt.data), Stat{Version: 4})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			tt.want.Name, tt.want.Version = "t", 4
			if diff := cmp.Diff(&tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, (-want +got)\n%s", err, diff)
			}
		})
	}
}

func TestPartitionState(t *testing.T) {
	tests := []struct{ data, wantErr string }{
		{`{"controller_epoch":12,"leader":3,"version":1,"leader_epoch":9,"isr":[3,4,5]}`, ""},
		{`{"controller_epoch":12,"leader":-1,"version":1,"leader_epoch":9,"isr":[3],"leader_recovery_state":1}`, ""},
		{`{"controller_epoch":12,"leader":-1,"leader_epoch":9,"isr":[3],"leader_recovery_state":2}`, "unknown leader recovery state 2"},
		{`{"leader":-1,"leader_epoch":9,"isr":[3]}`, `no "controller_epoch"`},
		{`{"controller_epoch":12,"leader":3000000000,"leader_epoch":9,"isr":[3]}`, `"leader"`},
		{``, "not JSON"},
	}
	for _, tt := range tests {
		s, err := DecodePartitionState([]byte(tt.data), Stat{Version: 5})
		switch {
		case tt.wantErr != "":
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s: error %v, want %q", tt.data, err, tt.wantErr)
			}
		case err != nil || s.Version != 5 || string(s.Encode()) != tt.data:
			t.Errorf("%s: %+v (%v), encoded %s", tt.data, s, err, s.Encode())
		}
	}
}

func TestDecodeRefusals(t *testing.T) {
	tests := []struct{ path, data, wantErr string }{
		{"/admin/reassign_partitions", `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":[]}]}`, "log_dirs"},
		{"/admin/reassign_partitions", `{"version":1,"partitions":[]} x`, "follows"},
		{"/admin/preferred_replica_election", `{"version":1}`, `no "partitions"`},
		{"/config/changes/config_change_1", `{"version":1,"entity_type":"users","entity_name":"u"}`, "version 1 of"},
		{"/config/changes/config_change_1", `{"version":3,"entity_path":"topics/t"}`, "unsupported version 3"},
		{"/config/changes/config_change_1", `{"version":2,"entity_path":"topics"}`, "not the path of an entity"},
		{"/config/topics/t", `{"version":1,"config":{"a":1}}`, "malformed configuration"},
		{"/feature", `{"version":2,"features":{}}`, `no "status"`},
		{"/feature", `{"version":2,"status":1}`, `no "features"`},
		{"/feature", `{"version":0,"status":1,"features":{}}`, "unsupported version"},
		{"/feature", `{"version":2,"status":1,"features":{"f":{}}}`, "highest"},
		{"/latest_producer_id_block", `{"version":1,"broker":1,"block_start":0,"block_end":"999"}`, "block_start"},
		{"/latest_producer_id_block", `{"version":1,"broker":1,"block_start":"10","block_end":"0"}`, "no block"},
		{"/cluster/id", `{"version":"1","id":null}`, `no "id"`},
		{"/controller_epoch", `x`, "malformed controller epoch"},
	}
	for _, tt := range tests {
		if _, _, err := recode(tt.path, []byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("%s %s: error %v, want %q", tt.path, tt.data, err, tt.wantErr)
		}
	}
}

func TestDecodeTolerance(t *testing.T) {
	if c, err := DecodeConfig(nil); err != nil || len(c) != 0 {
		t.Errorf("config of null data: %v, %v", c, err)
	}
	for _, data := range []string{`nonsense`, `{"version":1}`, `{"config":[]}`, `[]`} {
		if c, err := DecodeConfig([]byte(data)); err != nil || len(c) != 0 {
			t.Errorf("config of %s: %v, %v", data, c, err)
		}
	}
	if _, err := DecodeConfigChange([]byte("x")); !errors.Is(err, ErrNoConfigChange) {
		t.Errorf("config change of x: %v", err)
	}
	if e, err := DecodeConfigChange([]byte(`{"version":1,"entity_type":"topics","entity_name":"t"}`)); e != "topics/t" || err != nil {
		t.Errorf("config change v1: %q, %v", e, err)
	}
	if p, err := DecodeISRChange([]byte("x")); err != nil || len(p) != 0 {
		t.Errorf("ISR change of x: %v, %v", p, err)
	}
	if _, ok, err := DecodeLogDirEvent([]byte("x")); ok || err != nil {
		t.Errorf("log dir event of x: %v, %v", ok, err)
	}
	if n, err := DecodeController([]byte(`{"version":1,"brokerid":4,"timestamp":"9"}`)); err != nil || n != (ControllerNode{4, 9, -1}) {
		t.Errorf("controller v1: %+v, %v", n, err)
	}
	if n, err := SequenceNumber("config_change_0000000042", "config_change_"); n != 42 || err != nil {
		t.Errorf("SequenceNumber = %d, %v", n, err)
	}
	f := Features{Version: 1, Enabled: true, Levels: map[string]FeatureLevel{"f": {1, 2}}}
	if got := string(f.Encode()); got != `{"features":{"f":{"max_version_level":2,"min_version_level":1}},"version":1,"status":1}` {
		t.Errorf("features v1: %s", got)
	}
}

func TestParseConnect(t *testing.T) {
	tests := []struct {
		connect, chroot string
		servers         []string
		bad             bool
	}{
		{connect: "a:1", servers: []string{"a:1"}},
		{connect: "a:1, b,c:3/x/y/", servers: []string{"a:1", "b:2181", "c:3"}, chroot: "/x/y"},
		{connect: "a/", servers: []string{"a:2181"}},
		{connect: "[::1]:99,::1,[::2]/k", servers: []string{"[::1]:99", "[::1]:2181", "[::2]:2181"}, chroot: "/k"},
		{connect: "/k", bad: true},
		{connect: "", bad: true},
		{connect: "a//b", bad: true},
	}
	for _, tt := range tests {
		servers, chroot, err := ParseConnect(tt.connect)
		if (err != nil) != tt.bad || !tt.bad && (cmp.Diff(tt.servers, servers) != "" || chroot != tt.chroot) {
			t.Errorf("ParseConnect(%q) = %q, %q, %v", tt.connect, servers, chroot, err)
		}
	}
}
