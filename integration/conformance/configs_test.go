package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// configStep is a change of configurations and what comes of it, as Kafka answered.
type configStep struct {
	kind int8
	name string
	ops  []kmsg.IncrementalAlterConfigsRequestResourceConfig
	want string // code and text
}

func sets(key, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	return opOf(set, key, &value)
}

// configSteps are what errors.tsv does not hold: values that are wrong together, lists, listeners, passwords. They
// follow one another; the listener's name is PLAINTEXT, and EXTRA is in listener.security.protocol.map.
func configSteps(addr string) []configStep {
	type ops = []kmsg.IncrementalAlterConfigsRequestResourceConfig
	const (
		done    = "0 null"
		wrapped = "42 Invalid value org.apache.kafka.common.config.ConfigException: "
		by      = " for configuration Invalid dynamic configuration"
		key     = "listener.name.plaintext.ssl.key.password"
	)
	return []configStep{
		{topicResource, "e1", ops{sets("min.compaction.lag.ms", "9")}, done},
		{topicResource, "e1", ops{sets("max.compaction.lag.ms", "5")}, "40 conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (5)"},
		{topicResource, "e1", ops{sets("remote.storage.enable", "true")}, "40 Invalid config value for resource ConfigResource(type=TOPIC, name='e1'): " +
			"Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{topicResource, "e1", ops{sets("remote.log.copy.disable", "true")}, "40 It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode."},
		{topicResource, "e1", ops{opOf(add, "no.such", ptr("1"))}, "-1 null"},
		{topicResource, "e1", ops{opOf(add, "cleanup.policy", ptr("compact"))}, done},
		{topicResource, "e1", ops{opOf(subtract, "cleanup.policy", ptr("delete,compact"))}, done},
		{topicResource, "e1", ops{opOf(add, "cleanup.policy", ptr(""))}, done},
		{topicResource, "e1", ops{opOf(remove, "cleanup.policy", nil), opOf(remove, "min.compaction.lag.ms", nil)}, done},
		{topicResource, "e1", ops{sets("leader.replication.throttled.replicas", "0:1,x")}, "40 Invalid config value for resource ConfigResource(type=TOPIC, name='e1'): " +
			"Invalid value [0:1, x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: " +
			"[partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{topicResource, "", ops{sets("retention.ms", "1")}, "42 Default topic resources are not allowed."},

		{brokerResource, "1", ops{opOf(add, "no.such", ptr("1"))}, "-1 null"},
		{brokerResource, "1", ops{opOf(add, "leader.replication.throttled.rate", ptr("1"))}, "-1 null"},
		{brokerResource, "1", ops{opOf(add, "num.io.threads", ptr("1"))}, "40 Config value append is not allowed for config key: num.io.threads"},
		{brokerResource, "1", ops{opOf(9, "num.io.threads", ptr("1"))}, "42 Unknown operations type 9"},
		{brokerResource, "1", ops{sets("max.connections", "0")}, wrapped + "Invalid max.connections 0" + by},
		{brokerResource, "1", ops{sets("max.connections.per.ip", "0")}, "42 requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."},
		{brokerResource, "1", ops{sets("max.connections.per.ip.overrides", "a b:1")}, "42 max.connections.per.ip.overrides contains invalid addresses : a b"},
		{brokerResource, "1", ops{sets("listener.name.plaintext.num.network.threads", "7")}, wrapped +
			"Dynamic thread count update validation failed for num.network.threads=7, value should not be greater than double the current value 3" + by},
		{brokerResource, "1", ops{sets("listener.name.plaintext.max.connections", "many")}, "42 Invalid value many for configuration max.connections: Not a number of type INT"},
		{brokerResource, "1", ops{sets("log.local.retention.ms", "999999999")}, wrapped + "Invalid value 999999999 for configuration log.local.retention.ms: " +
			"Value must not be more than log.retention.ms property value: 604800000" + by},
		{brokerResource, "1", ops{sets("log.cleaner.min.compaction.lag.ms", "5"), sets("log.cleaner.max.compaction.lag.ms", "4")}, done},
		{brokerResource, "1", ops{opOf(remove, "log.cleaner.min.compaction.lag.ms", nil), opOf(remove, "log.cleaner.max.compaction.lag.ms", nil)}, done},
		{brokerResource, "1", ops{sets("log.cleanup.policy", "none")}, "42 Invalid value none for configuration log.cleanup.policy: String must be one of: compact, delete"},
		{brokerResource, "1", ops{sets("num.partitions", "3")}, "42 Cannot update these configs dynamically: Set(num.partitions)"},
		{brokerResource, "", ops{sets("listener.name.plaintext.ssl.keystore.type", "JKS")},
			"42 Cannot update these configs at default cluster level, broker id must be specified: Set(listener.name.plaintext.ssl.keystore.type)"},
		{brokerResource, "", ops{sets("listener.name.plaintext.max.connections", "500")}, done},
		{brokerResource, "", ops{opOf(remove, "listener.name.plaintext.max.connections", nil)}, done},
		{brokerResource, "1", ops{sets("listeners", "EXTRA://"+addr)}, "42 requirement failed: inter.broker.listener.name must be a listener name defined in " +
			"advertised.listeners. The valid options based on currently configured listeners are EXTRA"},
		{brokerResource, "1", ops{sets("advertised.listeners", "PLAINTEXT://0.0.0.0:1")},
			"42 requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."},
		{brokerResource, "1", ops{sets("listeners", "nonsense")}, "42 Error creating broker listeners from 'nonsense': Unable to parse nonsense to a broker endpoint"},
		{brokerResource, "1", ops{sets("listener.name.plaintext.connections.max.reauth.ms", "1"), sets("max.connections", "1000")}, wrapped +
			"Configs cannot be updated dynamically for existing listener ListenerName(PLAINTEXT), restart broker or create a new listener for update" + by},
		{brokerResource, "", ops{sets(key, "p")},
			"42 Cannot update these configs at default cluster level, broker id must be specified: Set(" + key + ")"},
		{brokerResource, "1", ops{sets(key, "p")}, done},
		{brokerResource, "1", ops{sets("ssl.truststore.password", "p")}, "42 These security configs can be dynamically updated only per-listener " +
			"using the listener prefix: HashSet(ssl.truststore.password)"},

		{loggerResource, "2", ops{sets("root", "INFO")}, "42 Unexpected node id. Expected 1, but received 1"},
		{loggerResource, "x", ops{sets("root", "INFO")}, "42 Node id must be an integer, but it is: x"},
		{loggerResource, "1", ops{opOf(9, "root", ptr("INFO"))}, "-1 null"},
		{loggerResource, "1", ops{sets("root", "info")}, "40 Cannot set the log level of root to info as it is not a supported log level. " +
			"Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"},
		{loggerResource, "1", ops{sets("kafka.server.KafkaServer", "WARN")}, done},
		{loggerResource, "1", ops{opOf(remove, "kafka.server.KafkaServer", nil)}, done},
	}
}

// TestConfigChanges makes changes one after another; CONFORMANCE_KAFKA=1 has Kafka answer.
func TestConfigChanges(t *testing.T) {
	t.Parallel()
	c := start(t, 1, cluster.Props{
		"password.encoder.secret":        "s",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,EXTRA:PLAINTEXT",
	})
	b := c.Broker(1)
	c.CreateTopic("e1", 1, 1, nil)
	for _, step := range configSteps(b.Addr()) {
		req := incrementally(step.kind, step.name, step.ops...)
		resp := ask[*kmsg.IncrementalAlterConfigsResponse](t, b.Addr(), withVersion(req, 1)).Resources[0]
		text := "null"
		if resp.ErrorMessage != nil {
			text = *resp.ErrorMessage
		}
		if got := fmt.Sprintf("%d %s", resp.ErrorCode, text); got != step.want {
			t.Errorf("%d %q %v:\n\tgot  %s\n\twant %s", step.kind, step.name, opsText(step.ops), got, step.want)
		}
	}

	// What is described after a change, with what stands behind it.
	ask[*kmsg.IncrementalAlterConfigsResponse](t, b.Addr(), withVersion(incrementally(brokerResource, "",
		sets("log.retention.ms", "50000"), sets("custom.thing", "x"), sets("leader.replication.throttled.rate", "77")), 1))
	ask[*kmsg.IncrementalAlterConfigsResponse](t, b.Addr(), withVersion(incrementally(brokerResource, "1", sets("log.retention.ms", "60000")), 1))
	ask[*kmsg.IncrementalAlterConfigsResponse](t, b.Addr(), withVersion(incrementally(topicResource, "e1", sets("retention.ms", " 70000")), 1))
	for _, tt := range []struct {
		kind      int8
		name, key string
		want      string
	}{
		{brokerResource, "1", "log.retention.ms", "60000@2 false,false,5 log.retention.ms=60000@2 log.retention.ms=50000@3 log.retention.hours=168@5"},
		{brokerResource, "1", "log.retention.hours", "168@5 true,false,3 log.retention.hours=168@5"},
		{brokerResource, "", "log.retention.ms", "50000@3 false,false,5 log.retention.ms=50000@3"},
		{brokerResource, "", "custom.thing", "null@3 true,true,0 custom.thing=null@3"},
		{brokerResource, "1", "custom.thing", "null@3 true,true,0 custom.thing=null@3"},
		{brokerResource, "", "leader.replication.throttled.rate", "77@3 true,false,5 leader.replication.throttled.rate=77@3"},
		{brokerResource, "1", "leader.replication.throttled.rate", "77@3 true,false,5 leader.replication.throttled.rate=77@3"},
		{brokerResource, "1", "listener.name.plaintext.ssl.key.password", "null@2 true,true,9 listener.name.plaintext.ssl.key.password=null@2"},
		{topicResource, "e1", "retention.ms", "70000@1 false,false,5 retention.ms=70000@1 log.retention.ms=60000@2 log.retention.ms=50000@3 log.retention.hours=168@5"},
	} {
		cluster.Await(t, patience, fmt.Sprintf("%s of %q to be %s, not %s", tt.key, tt.name, tt.want, describedAs(t, b, tt.kind, tt.name, tt.key)), func() bool {
			return describedAs(t, b, tt.kind, tt.name, tt.key) == tt.want
		})
	}
}

func opsText(ops []kmsg.IncrementalAlterConfigsRequestResourceConfig) (list []string) {
	for _, op := range ops {
		value := "null"
		if op.Value != nil {
			value = *op.Value
		}
		list = append(list, fmt.Sprintf("%s %s=%s", op.Op, op.Name, value))
	}
	return list
}

// describedAs returns an entry of DescribeConfigs: value@source readOnly,sensitive,type and the synonyms.
func describedAs(t *testing.T, b *cluster.Broker, kind int8, name, key string) string {
	t.Helper()
	req := describeConfigs(kind, name, key)
	req.IncludeSynonyms = true
	list := ask[*kmsg.DescribeConfigsResponse](t, b.Addr(), withVersion(req, 4)).Resources[0].Configs
	i := slices.IndexFunc(list, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return c.Name == key })
	if i < 0 {
		return "nothing"
	}
	show := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	e := list[i]
	text := []string{fmt.Sprintf("%s@%d %v,%v,%d", show(e.Value), e.Source, e.ReadOnly, e.IsSensitive, e.ConfigType)}
	for _, s := range e.ConfigSynonyms {
		text = append(text, fmt.Sprintf("%s=%s@%d", s.Name, show(s.Value), s.Source))
	}
	return strings.Join(text, " ")
}

// TestConfigZnodes: what changes of configurations leave in ZooKeeper, as it was recorded (steps 04 to 06 of the
// scenario of TestZnodes): data, version and cversion.
func TestConfigZnodes(t *testing.T) {
	t.Parallel()
	c := start(t, 1, cluster.Props{"password.encoder.secret": "encoder-secret"})
	b := c.Broker(1)
	z := openZooKeeper(t, c.ZooKeeper(), 30*time.Second)
	c.CreateTopic("plain", 1, 1, nil)
	const password = "listener.name.sasl_plaintext.ssl.keystore.password"
	for _, step := range []struct {
		kind int8
		name string
		ops  []kmsg.IncrementalAlterConfigsRequestResourceConfig
		want map[string]string
	}{
		{topicResource, "plain", []kmsg.IncrementalAlterConfigsRequestResourceConfig{sets("retention.ms", "3600000"), sets("segment.bytes", "1048576")}, map[string]string{
			"/config/topics/plain":                     `{"version":1,"config":{"retention.ms":"3600000","segment.bytes":"1048576"}} 1 0`,
			"/config/changes":                          `null 0 1`,
			"/config/changes/config_change_0000000000": `{"version":2,"entity_path":"topics/plain"} 0 0`,
		}},
		{brokerResource, "1", []kmsg.IncrementalAlterConfigsRequestResourceConfig{sets("leader.replication.throttled.rate", "1000000"), sets(password, "secret-password")}, map[string]string{
			"/config/brokers":                          `null 0 1`,
			"/config/brokers/1":                        `{"version":1,"config":{"leader.replication.throttled.rate":"1000000","` + password + `":"PASSWORD"}} 0 0`,
			"/config/changes":                          `null 0 2`,
			"/config/changes/config_change_0000000001": `{"version":2,"entity_path":"brokers/1"} 0 0`,
		}},
		{brokerResource, "", []kmsg.IncrementalAlterConfigsRequestResourceConfig{sets("log.retention.ms", "86400000"), sets("num.io.threads", "9")}, map[string]string{
			"/config/brokers":                          `null 0 2`,
			"/config/brokers/<default>":                `{"version":1,"config":{"log.retention.ms":"86400000","num.io.threads":"9"}} 0 0`,
			"/config/changes":                          `null 0 3`,
			"/config/changes/config_change_0000000002": `{"version":2,"entity_path":"brokers/<default>"} 0 0`,
		}},
	} {
		resp := ask[*kmsg.IncrementalAlterConfigsResponse](t, b.Addr(), withVersion(incrementally(step.kind, step.name, step.ops...), 1))
		if list := errorsIn(resp); len(list) > 0 {
			t.Fatal(list)
		}
		nodes := z.tree(t).nodes
		for path, want := range step.want {
			n := nodes[path]
			data := encodedPassword.ReplaceAllString(n.Data, `$1:"PASSWORD"`)
			if got := fmt.Sprintf("%s %d %d", data, n.Version, n.CVersion); got != want {
				t.Errorf("%s is %s, want %s", path, got, want)
			}
		}
	}
}

// encodedPassword is one as it is kept in ZooKeeper, in any order of its parts.
var encodedPassword = regexp.MustCompile(`("listener[^"]*password"):"[^"]*salt:[^"]*"`)
