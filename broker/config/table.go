package config

import "slices"

// The largest numbers of Java's types, which stand for "no limit" in many defaults.
const (
	maxIntText  = "2147483647"
	maxLongText = "9223372036854775807"
	maxLong     = 1<<63 - 1
)

var compressions = oneOf{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}

// sections are the whole table, in the order of config.toml. A row has the fields of a Property in
// their order: name, type, default, what is valid, importance, scope, status, doc.
var sections = []section{
	{"ZooKeeper", zookeeperProperties},
	{"This broker", brokerProperties},
	{"Listeners and connections", networkProperties},
	{"Topics", topicsProperties},
	{"Log directories", logsProperties},
	{"Segments and retention", segmentsProperties},
	{"Compaction", cleanerProperties},
	{"Replication", replicationProperties},
	{"Controller", controllerProperties},
	{"Producers and transactions", producersProperties},
	{"Consumer groups", groupsProperties},
	{"Quotas", quotasProperties},
	{"Access and identities", securityProperties},
	{"SASL", saslProperties},
	{"TLS", sslProperties},
	{"Metrics", metricsProperties},
	{"Tiered storage", remoteProperties},
	{"KRaft", kraftProperties},
}

// internalNames are the properties that Kafka keeps to itself, or does not have: DescribeConfigs lists one only if it is set.
var internalNames = []string{
	"gregor.isr.propagation",
	"gregor.log.level",
	"gregor.process.watch.enable",
	"group.consumer.migration.policy",
	"group.coordinator.new.enable",
	"group.share.enable",
	"log.initial.task.delay.ms",
	"metadata.log.segment.min.bytes",
	"producer.id.expiration.check.interval.ms",
	"remote.log.manager.task.retry.backoff.max.ms",
	"remote.log.manager.task.retry.backoff.ms",
	"remote.log.manager.task.retry.jitter",
	"server.max.startup.time.ms",
	"unclean.leader.election.interval.ms",
	"unstable.api.versions.enable",
	"unstable.feature.versions.enable",
	"zookeeper.metadata.migration.min.batch.size",
}

// Internal reports whether DescribeConfigs leaves the property out unless it is set.
func (p *Property) Internal() bool { return slices.Contains(internalNames, p.Name) }
