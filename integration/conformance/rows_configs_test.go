package conformance

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type configOp = kmsg.IncrementalAlterConfigOp

const (
	set      = kmsg.IncrementalAlterConfigOpSet
	remove   = kmsg.IncrementalAlterConfigOpDelete
	add      = kmsg.IncrementalAlterConfigOpAppend
	subtract = kmsg.IncrementalAlterConfigOpSubtract
)

// rowsConfigs are the rows of AlterConfigs and IncrementalAlterConfigs.
var rowsConfigs = script{
	"IncrementalAlterConfigs: nonexistent topic":                         incremental(topicResource, "nope", set, "retention.ms", "1000"),
	"IncrementalAlterConfigs: bad topic name":                            incremental(topicResource, "a b", set, "retention.ms", "1000"),
	"IncrementalAlterConfigs: topic name that ZooKeeper has no path for": incremental(topicResource, "..", set, "retention.ms", "1000"),
	"IncrementalAlterConfigs: unknown config key":                        incremental(topicResource, "e1", set, "no.such", "1"),
	"IncrementalAlterConfigs: value of wrong type":                       incremental(topicResource, "e1", set, "retention.ms", "abc"),
	"IncrementalAlterConfigs: value out of range":                        incremental(topicResource, "e1", set, "retention.ms", "-5"),
	"IncrementalAlterConfigs: append to a key that is not a list":        incremental(topicResource, "e1", add, "retention.ms", "1"),
	"IncrementalAlterConfigs: subtract from a key that is not a list":    incremental(topicResource, "e1", subtract, "retention.ms", "1"),
	"IncrementalAlterConfigs: append an invalid element":                 incremental(topicResource, "e1", add, "cleanup.policy", "foo"),
	"IncrementalAlterConfigs: null value with SET":                       request(incrementally(topicResource, "e1", opOf(set, "retention.ms", nil))),
	"IncrementalAlterConfigs: same key twice": request(incrementally(topicResource, "e1",
		opOf(set, "retention.ms", ptr("1000")), opOf(remove, "retention.ms", nil))),
	"IncrementalAlterConfigs: operation 9":                  incremental(topicResource, "e1", 9, "retention.ms", "1"),
	"IncrementalAlterConfigs: delete a key that is not set": request(incrementally(topicResource, "e1", opOf(remove, "retention.ms", nil))),
	"IncrementalAlterConfigs: empty key":                    incremental(topicResource, "e1", set, "", "1"),
	"IncrementalAlterConfigs: not the controller": func(*world) call {
		return call{to: 2, req: incrementally(topicResource, "e1", opOf(set, "flush.messages", ptr("100000")))}
	},
	"IncrementalAlterConfigs: min.insync.replicas=0": incremental(topicResource, "e1", set, "min.insync.replicas", "0"),

	"IncrementalAlterConfigs: broker: read-only key":                            incremental(brokerResource, "1", set, "broker.rack", "r"),
	"IncrementalAlterConfigs: broker: unknown key (accepted as custom)":         incremental(brokerResource, "1", set, "no.such", "1"),
	"IncrementalAlterConfigs: broker: delete the unknown key":                   request(incrementally(brokerResource, "1", opOf(remove, "no.such", nil))),
	"IncrementalAlterConfigs: broker: bad value":                                incremental(brokerResource, "1", set, "num.io.threads", "0"),
	"IncrementalAlterConfigs: broker: value more than double":                   incremental(brokerResource, "1", set, "num.io.threads", "100"),
	"IncrementalAlterConfigs: broker: value less than half":                     incremental(brokerResource, "1", set, "num.io.threads", "1"),
	"IncrementalAlterConfigs: broker: operation -2":                             incremental(brokerResource, "1", -2, "num.io.threads", "8"),
	"IncrementalAlterConfigs: broker: other broker's id":                        incremental(brokerResource, "2", set, "num.io.threads", "8"),
	"IncrementalAlterConfigs: broker: id 99":                                    incremental(brokerResource, "99", set, "num.io.threads", "8"),
	"IncrementalAlterConfigs: broker: name not a number":                        incremental(brokerResource, "abc", set, "num.io.threads", "8"),
	"IncrementalAlterConfigs: cluster default: per-broker key":                  incremental(brokerResource, "", set, "listeners", "PLAINTEXT://:1"),
	"IncrementalAlterConfigs: cluster default: password without encoder secret": incremental(brokerResource, "", set, "ssl.key.password", "p"),
	"IncrementalAlterConfigs: broker: listener-prefixed password without password.encoder.secret": incremental(brokerResource, "1", set,
		"listener.name.plaintext.ssl.key.password", "p"),
	"IncrementalAlterConfigs: cluster-wide key set per broker (log.retention.ms)": incremental(brokerResource, "1", set, "log.retention.ms", "604800000"),
	"IncrementalAlterConfigs: cluster-wide key deleted per broker":                request(incrementally(brokerResource, "1", opOf(remove, "log.retention.ms", nil))),
	"IncrementalAlterConfigs: broker default: leader.replication.throttled.rate (dynamic-only key)": incremental(brokerResource, "", set,
		"leader.replication.throttled.rate", "1000000"),
	"IncrementalAlterConfigs: broker default: leader.replication.throttled.rate deleted": request(incrementally(brokerResource, "",
		opOf(remove, "leader.replication.throttled.rate", nil))),
	"IncrementalAlterConfigs: broker: leader.replication.throttled.rate": incremental(brokerResource, "1", set, "leader.replication.throttled.rate", "1000000"),
	"IncrementalAlterConfigs: broker: leader.replication.throttled.rate deleted": request(incrementally(brokerResource, "1",
		opOf(remove, "leader.replication.throttled.rate", nil))),
	"IncrementalAlterConfigs: broker: advertised.listeners to another name": incremental(brokerResource, "1", set, "advertised.listeners", "NOPE://127.0.0.1:1"),

	"IncrementalAlterConfigs: broker logger: unknown logger": incremental(loggerResource, "1", set, "no.such.Logger", "INFO"),
	"IncrementalAlterConfigs: broker logger: bad level":      incremental(loggerResource, "1", set, "kafka.server.KafkaServer", "LOUD"),
	"IncrementalAlterConfigs: broker logger: append":         incremental(loggerResource, "1", add, "kafka.server.KafkaServer", "INFO"),
	"IncrementalAlterConfigs: broker logger: delete root":    request(incrementally(loggerResource, "1", opOf(remove, "root", nil))),
	"IncrementalAlterConfigs: client metrics resource":       incremental(clientMetricsResource, "cm", set, "interval.ms", "1000"),
	"IncrementalAlterConfigs: group resource (32)":           incremental(groupConfigResource, "g", set, "consumer.session.timeout.ms", "1000"),
	"IncrementalAlterConfigs: resource type 77":              incremental(77, "x", set, "k", "v"),

	"AlterConfigs: nonexistent topic":     request(alterConfigs(topicResource, "nope", "retention.ms", ptr("1000"))),
	"AlterConfigs: unknown key":           request(alterConfigs(topicResource, "e1", "no.such", ptr("1"))),
	"AlterConfigs: bad value":             request(alterConfigs(topicResource, "e1", "retention.ms", ptr("abc"))),
	"AlterConfigs: null value":            request(alterConfigs(topicResource, "e1", "retention.ms", nil)),
	"AlterConfigs: broker loggers":        request(alterConfigs(loggerResource, "1", "root", ptr("INFO"))),
	"AlterConfigs: broker: read-only key": request(alterConfigs(brokerResource, "1", "broker.rack", ptr("r"))),
}

func opOf(op configOp, name string, value *string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Op, c.Name, c.Value = op, name, value
	return c
}

func incrementally(kind int8, name string, ops ...kmsg.IncrementalAlterConfigsRequestResourceConfig) *kmsg.IncrementalAlterConfigsRequest {
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.Configs = kmsg.ConfigResourceType(kind), name, ops
	r.Resources = append(r.Resources, resource)
	return r
}

func incremental(kind int8, name string, op configOp, key, value string) func(*world) call {
	return request(incrementally(kind, name, opOf(op, key, &value)))
}

func alterConfigs(kind int8, name, key string, value *string) *kmsg.AlterConfigsRequest {
	r := kmsg.NewPtrAlterConfigsRequest()
	resource := kmsg.NewAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceType(kind), name
	c := kmsg.NewAlterConfigsRequestResourceConfig()
	c.Name, c.Value = key, value
	resource.Configs = append(resource.Configs, c)
	r.Resources = append(r.Resources, resource)
	return r
}

// describeLoggers asks for the loggers of broker 1, of which there must be root and those of its parts.
func describeLoggers(*world) call {
	req := describeConfigs(loggerResource, "1")
	return call{req: req, check: func(content []byte) error {
		resp, err := decode(req, answerID, content)
		if err != nil {
			return err
		}
		var names []string
		for _, c := range resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs {
			names = append(names, c.Name)
		}
		for _, want := range []string{"root", "kafka", "kafka.server.KafkaServer", "kafka.controller.KafkaController"} {
			if !slices.Contains(names, want) {
				return fmt.Errorf("no logger %s among %v", want, names)
			}
		}
		return nil
	}}
}
