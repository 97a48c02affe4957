package admin

import (
	"fmt"
	"maps"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/request"
)

type op = kmsg.IncrementalAlterConfigsRequestResourceConfig

func opOf(kind kmsg.IncrementalAlterConfigOp, name string, value *string) op {
	o := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	o.Op, o.Name, o.Value = kind, name, value
	return o
}

func setTo(name, value string) op { return opOf(kmsg.IncrementalAlterConfigOpSet, name, &value) }
func unset(name string) op        { return opOf(kmsg.IncrementalAlterConfigOpDelete, name, nil) }
func appendTo(name, value string) op {
	return opOf(kmsg.IncrementalAlterConfigOpAppend, name, &value)
}
func subtractFrom(name, value string) op {
	return opOf(kmsg.IncrementalAlterConfigOpSubtract, name, &value)
}

func changes(kind int8, name string, ops ...op) kmsg.IncrementalAlterConfigsRequestResource {
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceType(kind), name, ops
	return r
}

// incrementally alters and returns code and text for each resource.
func (w *world) incrementally(t *testing.T, version int16, validateOnly bool, resources ...kmsg.IncrementalAlterConfigsRequestResource) []string {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version, req.ValidateOnly, req.Resources = version, validateOnly, resources
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	fixture.Do(t, request.HandlerFunc(w.IncrementalAlterConfigs), req, resp)
	var got []string
	for i, r := range resp.Resources {
		if r.ResourceName != resources[i].ResourceName || r.ResourceType != resources[i].ResourceType {
			t.Errorf("%d: answered for %v %s", i, r.ResourceType, r.ResourceName)
		}
		got = append(got, fmt.Sprintf("%d %s", r.ErrorCode, text(r.ErrorMessage)))
	}
	return got
}

const fine = "0 <null>"

// TestChangeLists: what appending to and subtracting from a list leaves, as Kafka's does.
func TestChangeLists(t *testing.T) {
	for _, tt := range []struct{ before, op, elements, want string }{
		{"", "+", "a,b", "a,b"}, {"a", "+", "a", "a"}, {"a", "+", "b,a,c", "a,b,c"}, {"a, b", "+", "b", "a, b,b"},
		{"", "+", "", ""}, {"a", "+", "", "a,"}, {"a,,", "+", "b,,", "a,b"},
		{"a,b,a", "-", "a", "b,a"}, {"a,b", "-", "a,b,c", ""}, {"", "-", "a", ""}, {"a", "-", "", "a"},
	} {
		kind := kmsg.IncrementalAlterConfigOpAppend
		if tt.op == "-" {
			kind = kmsg.IncrementalAlterConfigOpSubtract
		}
		if got := changeList(tt.before, tt.elements, kind); got != tt.want {
			t.Errorf("%q %s %q is %q, want %q", tt.before, tt.op, tt.elements, got, tt.want)
		}
	}
}

func TestIncrementalAlterTopic(t *testing.T) {
	for version := range int16(2) {
		w := newWorld(t)
		w.add("a", 1)
		w.configs["a"] = map[string]string{"retention.ms": "5", "segment.ms": "6"}
		ops := []op{setTo("max.message.bytes", "7"), unset("segment.ms"), appendTo("cleanup.policy", "compact"), unset("flush.ms")}
		if got := w.incrementally(t, version, true, changes(2, "a", ops...)); got[0] != fine || len(w.changed) != 0 {
			t.Errorf("v%d: validation only answers %q and changes %v", version, got, w.changed)
		}
		if got := w.incrementally(t, version, false, changes(2, "a", ops...)); got[0] != fine {
			t.Errorf("v%d: %q", version, got)
		}
		want := map[string]string{"retention.ms": "5", "max.message.bytes": "7", "cleanup.policy": "delete,compact"}
		if !maps.Equal(w.configs["a"], want) || len(w.changed) != 1 {
			t.Errorf("v%d: left %v, want %v", version, w.configs["a"], want)
		}
		w.incrementally(t, version, false, changes(2, "a", subtractFrom("cleanup.policy", "delete")))
		if got := w.configs["a"]["cleanup.policy"]; got != "compact" {
			t.Errorf("v%d: cleanup.policy %s", version, got)
		}
	}
}

// TestAlterRefusals has what integration/conformance does not: several resources at once, and what depends on
// what is stored.
func TestAlterRefusals(t *testing.T) {
	w := newWorld(t)
	w.add("a", 1)
	w.add("b", 1)
	w.configs["b"] = map[string]string{"min.compaction.lag.ms": "9"}
	got := w.incrementally(t, 1, false,
		changes(2, "a", setTo("retention.ms", "1")), changes(2, "b", setTo("max.compaction.lag.ms", "5")), changes(2, "a"),
		changes(2, "", setTo("retention.ms", "1")), changes(2, "b", setTo("retention.ms", "2")), changes(4, "1", appendTo("no.such", "1")),
		changes(4, "", appendTo("num.io.threads", "1")), changes(4, "1", opOf(9, "num.io.threads", new("1"))), changes(8, "2", setTo("root", "INFO")),
		changes(8, "1", opOf(9, "root", new("INFO"))), changes(8, "1", setTo("root", "DEBUG"), setTo("no.such", "INFO")), changes(8, "x"),
	)
	want := []string{
		"42 Each resource must appear at most once.", "42 Each resource must appear at most once.", "42 Each resource must appear at most once.",
		"42 Default topic resources are not allowed.", "42 Each resource must appear at most once.", "42 Each resource must appear at most once.",
		"40 Config value append is not allowed for config key: num.io.threads", "42 Each resource must appear at most once.",
		"42 Unexpected node id. Expected 1, but received 1", "42 Each resource must appear at most once.", "42 Each resource must appear at most once.",
		"42 Node id must be an integer, but it is: x",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %s, want %s", i, got[i], want[i])
		}
	}
	for _, tt := range []struct {
		resource kmsg.IncrementalAlterConfigsRequestResource
		want     string
	}{
		{changes(2, "b", setTo("max.compaction.lag.ms", "5")), "40 conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (5)"},
		{changes(2, "a", appendTo("no.such", "1")), "-1 <null>"},
		{changes(2, "a", setTo("remote.storage.enable", "true")), "40 Invalid config value for resource ConfigResource(type=TOPIC, name='a'): " +
			"Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{changes(4, "1", appendTo("leader.replication.throttled.rate", "1")), "-1 <null>"},
		{changes(4, "1", opOf(9, "num.io.threads", new("1"))), "42 Unknown operations type 9"},
		{changes(8, "1", opOf(9, "root", new("INFO"))), "-1 <null>"},
		{changes(8, "1", setTo("root", "DEBUG"), setTo("no.such", "INFO")), "40 Logger no.such does not exist!"},
	} {
		if got := w.incrementally(t, 1, false, tt.resource)[0]; got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if len(w.changed) != 0 || w.loggers["root"] != "INFO" {
		t.Errorf("refusals have changed %v, loggers %v", w.changed, w.loggers)
	}
	w.err = errStore
	if got := w.incrementally(t, 1, false, changes(2, "a", setTo("retention.ms", "1")))[0]; got != "-1 <null>" {
		t.Errorf("the store fails: %s", got)
	}
}

// TestAlterBroker: what is stored for all brokers and for this one, passwords and what others have put there
// included.
func TestAlterBroker(t *testing.T) {
	w := newWorld(t, "password.encoder.secret=s")
	one, all := Resource{Type: brokerResource, Name: "1"}, Resource{Type: brokerResource}
	w.stored[all] = map[string]string{"metric.reporters": "a.B", "num.io.threads": "many", "message.max.bytes": "5"}
	const password = "listener.name.x.ssl.key.password"
	got := w.incrementally(t, 1, false, changes(4, "", setTo("log.retention.ms", "6"), unset("message.max.bytes")),
		changes(4, "1", setTo("custom", "c"), setTo(password, "p")))
	if got[0] != fine || got[1] != fine {
		t.Fatal(got)
	}
	if want := map[string]string{"metric.reporters": "a.B", "log.retention.ms": "6"}; !maps.Equal(w.stored[all], want) {
		t.Errorf("for all: %v, want %v", w.stored[all], want)
	}
	if own := w.stored[one]; own["custom"] != "c" || own[password] == "" || own[password] == "p" {
		t.Errorf("for one: %v", own)
	}
	if got := w.incrementally(t, 1, false, changes(4, "1", unset("custom"))); got[0] != fine {
		t.Fatal(got)
	}
	if read := w.cfg.Load().FromStore(w.stored[one], true); read.Set[password] != "p" || len(read.Set) != 1 {
		t.Errorf("a password that was not touched: %v", read)
	}
	w.incrementally(t, 1, false, changes(4, "", unset("metric.reporters")))
	if _, there := w.stored[all]["metric.reporters"]; there {
		t.Error("what is not supported can be removed")
	}
}

// TestAlterConfigs replaces everything, in all versions.
func TestAlterConfigs(t *testing.T) {
	for version := range int16(3) {
		w := newWorld(t)
		w.add("a", 1)
		w.configs["a"] = map[string]string{"retention.ms": "5"}
		alter := func(validateOnly bool, kind int8, name string, set ...string) string {
			req := kmsg.NewPtrAlterConfigsRequest()
			req.Version, req.ValidateOnly = version, validateOnly
			r := kmsg.NewAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(kind), name
			for i := 0; i < len(set); i += 2 {
				r.Configs = append(r.Configs, kmsg.AlterConfigsRequestResourceConfig{Name: set[i], Value: &set[i+1]})
			}
			req.Resources = append(req.Resources, r)
			resp := kmsg.NewPtrAlterConfigsResponse()
			fixture.Do(t, request.HandlerFunc(w.AlterConfigs), req, resp)
			return fmt.Sprintf("%d %s", resp.Resources[0].ErrorCode, text(resp.Resources[0].ErrorMessage))
		}
		if got := alter(true, 2, "a", "segment.ms", "6"); got != fine || len(w.changed) != 0 {
			t.Errorf("v%d: validation only: %s, changed %v", version, got, w.changed)
		}
		if got := alter(false, 2, "a", "segment.ms", "6"); got != fine || !maps.Equal(w.configs["a"], map[string]string{"segment.ms": "6"}) {
			t.Errorf("v%d: %s, left %v", version, got, w.configs["a"])
		}
		if got := alter(false, 2, "a", "segment.ms", "6", "segment.ms", "7"); got != "42 Error due to duplicate config keys" {
			t.Errorf("v%d: twice the same: %s", version, got)
		}
		if got := alter(false, 4, "1", "num.io.threads", "9"); got != fine || len(w.stored) != 1 {
			t.Errorf("v%d: %s, stored %v", version, got, w.stored)
		}
		if got := alter(false, 16, "x"); got != "42 AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS" {
			t.Errorf("v%d: client metrics: %s", version, got)
		}
	}
}

// TestAlterLoggers changes levels of loggers, and nothing that is stored.
func TestAlterLoggers(t *testing.T) {
	w := newWorld(t)
	ops := []op{setTo("root", "WARN"), setTo("kafka.server.KafkaServer", "TRACE")}
	if got := w.incrementally(t, 1, true, changes(8, "1", ops...))[0]; got != fine || w.loggers["root"] != "INFO" {
		t.Errorf("validation only: %s, %v", got, w.loggers)
	}
	if got := w.incrementally(t, 1, false, changes(8, "1", ops...))[0]; got != fine || w.loggers["root"] != "WARN" || w.loggers["kafka.server.KafkaServer"] != "TRACE" {
		t.Errorf("%s, %v", got, w.loggers)
	}
	w.incrementally(t, 1, false, changes(8, "1", unset("kafka.server.KafkaServer")))
	if w.loggers["kafka.server.KafkaServer"] != "WARN" || len(w.changed) != 0 {
		t.Errorf("unset: %v, stored %v", w.loggers, w.changed)
	}
}
