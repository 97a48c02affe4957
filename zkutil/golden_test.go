package zkutil

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a znode that Kafka 3.9.2 has written.
type sample struct {
	Path string `json:"path"`
	Data string `json:"data"`
}

func kafkaSamples(t testing.TB) []sample {
	t.Helper()
	f, err := os.Open("testdata/kafka-3.9.2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var samples []sample
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
	}
	return samples
}

// recode decodes a znode and encodes what it got; ok is false for paths of no family.
func recode(path string, data []byte) (again []byte, ok bool, err error) {
	parts := strings.Split(path, "/")
	switch {
	case path == ClusterIDPath:
		v, err := DecodeClusterID(data)
		return EncodeClusterID(v), true, err
	case path == ControllerPath:
		v, err := DecodeController(data)
		return v.Encode(), true, err
	case path == ControllerEpochPath:
		v, err := DecodeControllerEpoch(data)
		return EncodeControllerEpoch(v), true, err
	case path == ReassignmentPath:
		v, err := DecodeReassignments(data)
		return EncodeReassignments(v), true, err
	case path == PreferredElectionPath:
		v, err := DecodePreferredElection(data)
		return EncodePreferredElection(v), true, err
	case path == ProducerIDBlockPath:
		v, err := DecodeProducerIDBlock(data)
		return v.Encode(), true, err
	case path == FeaturePath:
		v, err := DecodeFeatures(data)
		if err != nil {
			return nil, true, err
		}
		return v.Encode(), true, err
	case strings.HasPrefix(path, BrokerIDsPath+"/"):
		v, err := DecodeBroker(1, data, Stat{})
		if err != nil {
			return nil, true, err
		}
		return v.Encode(), true, err
	case strings.HasPrefix(path, TopicsPath+"/") && len(parts) == 4:
		v, err := DecodeTopic(parts[3], data, Stat{})
		if err != nil {
			return nil, true, err
		}
		return v.Encode(), true, err
	case strings.HasSuffix(path, "/state"):
		v, err := DecodePartitionState(data, Stat{})
		return v.Encode(), true, err
	case strings.HasPrefix(path, ISRChangesPath):
		v, err := DecodeISRChange(data)
		return EncodeISRChange(v), true, err
	case strings.HasPrefix(path, LogDirEventsPath):
		v, _, err := DecodeLogDirEvent(data)
		return EncodeLogDirEvent(v), true, err
	case strings.HasPrefix(path, ConfigChangesPath):
		v, err := DecodeConfigChange(data)
		return EncodeConfigChange(v), true, err
	case strings.HasPrefix(path, ConfigPath):
		v, err := DecodeConfig(data)
		return EncodeConfig(v), true, err
	}
	return nil, false, nil
}

// TestKafkaZnodes reads what Kafka wrote and writes it as Kafka did, byte for byte except for the order of
// configuration properties, which is that of a hash map in Kafka.
func TestKafkaZnodes(t *testing.T) {
	families := 0
	for _, s := range kafkaSamples(t) {
		again, ok, err := recode(s.Path, []byte(s.Data))
		if err != nil {
			t.Errorf("%s: %v", s.Path, err)
		}
		if !ok {
			continue
		}
		families++
		if Entity(strings.TrimPrefix(s.Path, ConfigPath+"/")).Valid() {
			var want, got any
			json.Unmarshal([]byte(s.Data), &want)
			json.Unmarshal(again, &got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: (-Kafka +ours)\n%s", s.Path, diff)
			}
			continue
		}
		if string(again) != s.Data {
			t.Errorf("%s:\nKafka %s\nours  %s", s.Path, s.Data, again)
		}
	}
	if families < 50 {
		t.Errorf("only %d samples of known families", families)
	}
}

func TestDescribe(t *testing.T) {
	for _, s := range kafkaSamples(t) {
		got, err := Describe(s.Path, []byte(s.Data))
		if err != nil || got != s.Data {
			t.Errorf("Describe(%s) = %q, %v; want Kafka's own line", s.Path, got, err)
		}
	}
	tests := []struct {
		path, data, want, wantErr string
	}{
		{path: "/brokers/topics/t", data: "", want: ""},
		{path: "/x", data: "{\n  \"a\": 1 }", want: `{"a":1}`},
		{path: "/x", data: "two\nlines", want: `"two\nlines"`},
		{path: "/x", data: "\xff\x00", want: "0xff00"},
		{path: "/controller", data: "nonsense", want: "nonsense", wantErr: "malformed controller"},
		{path: "/brokers/ids/1", data: `{"version":0}`, want: `{"version":0}`, wantErr: "registration of broker 1"},
		{path: "/config/topics/t", data: `{"config":{"a":1}}`, want: `{"config":{"a":1}}`, wantErr: "configuration"},
	}
	for _, tt := range tests {
		got, err := Describe(tt.path, []byte(tt.data))
		if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("Describe(%s, %q) = %q, %v; want %q and error %q", tt.path, tt.data, got, err, tt.want, tt.wantErr)
		}
	}
}

// FuzzDecode checks that no decoder panics, and that what one accepts can be written and read again with
// the same result.
func FuzzDecode(f *testing.F) {
	for _, s := range kafkaSamples(f) {
		f.Add(s.Path, []byte(s.Data))
	}
	f.Add("/brokers/ids/1", []byte(`{"version":1,"host":"h","port":9,"jmx_port":-1}`))
	f.Add("/brokers/topics/t", []byte(`{"partitions":{"0":[1]},"topic_id":null}`))
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		if _, err := Describe(path, data); err != nil {
			return
		}
		once, ok, err := recode(path, data)
		if !ok || err != nil {
			return
		}
		twice, _, err := recode(path, once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s: %q became %q, then %q (%v)", path, data, once, twice, err)
		}
	})
}

func FuzzSanitize(f *testing.F) {
	for _, name := range []string{"", "a b~*+/:@%é<default>", "User:CN=x,OU=y", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, err := Desanitize(Sanitize(name)); err != nil || got != name {
			t.Errorf("Desanitize(Sanitize(%q)) = %q, %v", name, got, err)
		}
		Desanitize(name)
	})
}
