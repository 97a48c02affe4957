package topics

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func TestCheck(t *testing.T) {
	const server = "--bootstrap-server s "
	tests := []struct{ args, want string }{
		{server + "--list", ""},
		{server + "--describe --topic a --unavailable-partitions", ""},
		{server + "--create --topic a --config a=b --partitions 1", ""},
		{server + "--alter --topic a --partitions 1 --replica-assignment 1", ""},
		{server, "Command must include exactly one action: --list, --describe, --create, --alter or --delete"},
		{server + "--list --create", "Command must include exactly one action: --list, --describe, --create, --alter or --delete"},
		{"--list", "--bootstrap-server must be specified"},
		{server + "--create", `Missing required argument "[topic]"`},
		{server + "--alter --topic a", `Missing required argument "[partitions]"`},
		{server + "--describe --if-exists", "--topic or --topic-id is required to describe a topic"},
		{server + "--alter --topic a --config b=c", `Option combination "[[bootstrap-server], [config]]" can't be used with option "[alter]" ` +
			"(the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)"},
		{server + "--create --topic a --replica-assignment 1 --partitions 1", `Option "[replica-assignment]" can't be used with option "[partitions]"`},
		{server + "--list --partitions 3", `Option "[partitions]" can't be used with option "[list]"`},
		{server + "--list --topics-with-overrides", `Option "[topics-with-overrides]" can't be used with option "[list]"`},
		{server + "--describe --topics-with-overrides --unavailable-partitions", `Option "[unavailable-partitions]" can't be used with option "[topics-with-overrides]"`},
		{server + "--create --topic a --if-exists", `Option "[if-exists]" can't be used with option "[create]"`},
		{server + "--delete --topic a --if-not-exists", `Option "[if-not-exists]" can't be used with option "[delete]"`},
		{server + "--describe --delete-config x", `Option "[delete-config]" can't be used with option "[describe]"`},
		{server + "--delete --topic a --exclude-internal", `Option "[exclude-internal]" can't be used with option "[delete]"`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			set, err := options().Parse(strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := check(&tool.Env{Stdout: &strings.Builder{}}, set); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseAssignment(t *testing.T) {
	tests := []struct{ text, want string }{
		{"1:2:3,2:3:1", "1 2 3|2 3 1"},
		{"1", "1"},
		{" 1 : 2 , 3 : 4 ", "1 2|3 4"},
		{"1,2,", "1|2"},
		{"1:1", "org.apache.kafka.server.common.AdminCommandFailedException: Partition replica lists may not contain duplicate entries: 1"},
		{"1,2:3", "org.apache.kafka.server.common.AdminOperationException: Partition 1 has different replication factor: [2, 3]"},
		{"x:1", `java.lang.NumberFormatException: For input string: "x"`},
		{"1::2", `java.lang.NumberFormatException: For input string: ""`},
	}
	for _, tt := range tests {
		assignment, err := parseAssignment(tt.text)
		var parts []string
		for _, replicas := range assignment {
			parts = append(parts, join(replicas, " "))
		}
		got := strings.Join(parts, "|")
		if err != nil {
			got = throwable.String(err)
		}
		if got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParseAssignment(f *testing.F) {
	f.Add("1:2:3,2:3:1")
	f.Fuzz(func(t *testing.T, text string) {
		assignment, err := parseAssignment(text)
		if err != nil {
			return
		}
		for _, replicas := range assignment {
			if len(replicas) != len(assignment[0]) {
				t.Errorf("%q gives partitions of different sizes: %v", text, assignment)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	tests := []struct{ config, want string }{
		{"flush.ms=5", "flush.ms=5"},
		{"flush.ms = 5", "flush.ms=5"},
		{"flush.ms=5 flush.ms=6 segment.ms=7", "flush.ms=6 segment.ms=7"},
		{"a=b", "Unknown topic config name: a"},
		{"zz.top=1 foo.bar=2 quux=3 retentoin.ms=4", "Unknown topic config name: quux"},
		{"flush.ms=x no.such=1", "Unknown topic config name: no.such"},
		{"flush.ms=x segment.ms=x", "Invalid value x for configuration segment.ms: Not a number of type LONG"},
		{"a", "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."},
		{"a=", "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."},
		{"a=b=c", "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."},
	}
	for _, tt := range tests {
		var args []string
		for config := range strings.SplitSeq(strings.ReplaceAll(tt.config, " = ", "_=_"), " ") {
			args = append(args, "--config", strings.ReplaceAll(config, "_=_", " = "))
		}
		set, err := options().Parse(args)
		if err != nil {
			t.Fatal(err)
		}
		c := &command{options: set, env: &tool.Env{Stdout: &strings.Builder{}}}
		settings, err := c.settings()
		var parts []string
		for _, s := range settings {
			parts = append(parts, s.Name+"="+*s.Value)
		}
		got := strings.Join(parts, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.config, got, tt.want)
		}
	}
}

func TestParseID(t *testing.T) {
	tests := []struct{ text, want string }{
		{"AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAQ"},
		{"AAAAAAAAAAAAAAAAAAAAAQ==", "AAAAAAAAAAAAAAAAAAAAAQ"},
		{"xyz", "Input string `xyz` decoded as 2 bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID"},
		{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Input string with prefix `AAAAAAAAAAAAAAAAAAAAAAAA` is too long to be decoded as a base64 UUID"},
		{"??", "Illegal base64 character 3f"},
	}
	for _, tt := range tests {
		id, err := parseID(tt.text)
		got := id.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestPrinter checks every restriction of --describe on a topic of which each partition is in another state.
func TestPrinter(t *testing.T) {
	partition := func(index, leader int32, replicas, isr []int32) kmsg.MetadataResponseTopicPartition {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.Replicas, p.ISR = index, leader, replicas, isr
		return p
	}
	described := kmsg.NewMetadataResponseTopic()
	described.Topic = kmsg.StringPtr("t")
	described.TopicID[15] = 1
	described.Partitions = []kmsg.MetadataResponseTopicPartition{
		partition(0, 1, []int32{1, 2, 3}, []int32{1, 2, 3}), // healthy
		partition(1, 2, []int32{2, 3, 1}, []int32{2, 1}),    // at its minimum
		partition(2, 1, []int32{3, 1, 2}, []int32{1}),       // below it
		partition(3, -1, []int32{1, 2, 3}, []int32{3}),      // without a leader
		partition(4, 9, []int32{9, 2, 3}, []int32{9, 2, 3}), // led by a broker that is gone
		partition(5, 1, []int32{1, 2, 3}, []int32{1, 2}),    // moving from 3 to nowhere
	}
	moves := map[topic.Partition]client.Reassignment{{Topic: "t", Index: 5}: {Replicas: []int32{1, 2, 3, 4}, Adding: []int32{4}, Removing: []int32{3}}}
	const tail = "\tElr: N/A\tLastKnownElr: N/A\n"
	lines := []string{
		"Topic: t\tTopicId: AAAAAAAAAAAAAAAAAAAAAQ\tPartitionCount: 6\tReplicationFactor: 3\tConfigs: min.insync.replicas=2,b=null\n",
		"\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,2,3" + tail,
		"\tTopic: t\tPartition: 1\tLeader: 2\tReplicas: 2,3,1\tIsr: 2,1" + tail,
		"\tTopic: t\tPartition: 2\tLeader: 1\tReplicas: 3,1,2\tIsr: 1" + tail,
		"\tTopic: t\tPartition: 3\tLeader: none\tReplicas: 1,2,3\tIsr: 3" + tail,
		"\tTopic: t\tPartition: 4\tLeader: none\tReplicas: 9,2,3\tIsr: 9,2,3" + tail,
		"\tTopic: t\tPartition: 5\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,2\tAdding Replicas: 4\tRemoving Replicas: 3" + tail,
	}
	own := []setting{{"a", "1", false}, {"min.insync.replicas", "2", true}, {"b", "null", true}}
	inherited := []setting{{"min.insync.replicas", "2", false}}
	tests := []struct {
		name     string
		report   report
		settings []setting
		want     []int // lines
	}{
		{"everything", report{}, own, []int{0, 1, 2, 3, 4, 5, 6}},
		{"under-replicated", report{underReplicated: true}, own, []int{2, 3, 4, 6}},
		{"unavailable", report{unavailable: true}, own, []int{4, 5}},
		{"under min ISR", report{underMinISR: true}, own, []int{3, 4, 5}},
		{"at min ISR", report{atMinISR: true}, own, []int{2, 6}},
		{"at min ISR or unavailable", report{atMinISR: true, unavailable: true}, own, []int{2, 4, 5, 6}},
		{"overridden", report{overridden: true}, own, []int{0}},
		{"nothing overridden", report{overridden: true}, inherited, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			p := printer{out: &out, report: tt.report, live: map[int32]bool{1: true, 2: true, 3: true}}
			if err := p.topic(described, tt.settings, moves); err != nil {
				t.Fatal(err)
			}
			want := ""
			for _, i := range tt.want {
				want += lines[i]
			}
			if out.String() != want {
				t.Errorf("got\n%swant\n%s", out.String(), want)
			}
		})
	}
	p := printer{out: &strings.Builder{}, report: report{atMinISR: true}}
	if err := p.topic(described, nil, nil); err == nil {
		t.Error("min.insync.replicas is not needed")
	}
}

// TestSettingsOf checks which settings count as a topic's own, and their order.
func TestSettingsOf(t *testing.T) {
	config := func(name string, value *string, source kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfig {
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.Source = name, value, source
		return c
	}
	got := settingsOf([]kmsg.DescribeConfigsResponseResourceConfig{
		config("cleanup.policy", kmsg.StringPtr("compact"), kmsg.ConfigSourceDynamicTopicConfig),
		config("min.insync.replicas", kmsg.StringPtr("2"), kmsg.ConfigSourceDynamicTopicConfig),
		config("segment.bytes", kmsg.StringPtr("1"), kmsg.ConfigSourceStaticBrokerConfig),
		config("secret", nil, kmsg.ConfigSourceDefaultConfig),
	})
	var own []string
	for _, s := range got {
		if s.own {
			own = append(own, s.name+"="+s.value)
		}
	}
	if want := "cleanup.policy=compact min.insync.replicas=2 segment.bytes=1"; strings.Join(own, " ") != want {
		t.Errorf("got %v, want %s", own, want)
	}
}
