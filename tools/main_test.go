package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestNames checks that the tools answer to the names of Kafka's scripts, however they are called.
func TestNames(t *testing.T) {
	tests := []struct {
		args           []string
		stdout, stderr string // the first line
		status         int
	}{
		{[]string{"gregorctl", "--version"}, "gregorctl unknown, with the tools of Kafka 3.9.2", "", 0},
		{[]string{"gregorctl"}, "Tools for a Gregor or Kafka cluster", "", 0},
		{[]string{"gregorctl", "nonsense"}, "", `gregorctl: unknown command "nonsense" for "gregorctl"`, 1},
		{[]string{"gregorctl", "zookeeper", "--help"}, "Show the tree of znodes below a path (default: all), one a line with its contents.", "", 0},
		{[]string{"gregorctl", "topics", "--help"}, "Create, list, describe, change and delete topics.", "", 0},
		{[]string{"gregorctl", "help", "topics"}, "Create, list, describe, change and delete topics.", "", 0},
		{[]string{"gregorctl", "topics"}, "", "Create, list, describe, change and delete topics.", 1},
		{[]string{"gregorctl", "topics", "--nonsense"}, "", "nonsense is not a recognized option", 1},
		{[]string{"gregorctl", "topics", "--version"}, "3.9.2", "", 0},
		{[]string{"gregorctl", "kafka-topics", "--version"}, "3.9.2", "", 0},
		{[]string{"gregorctl", "kafka-topics.sh", "--version"}, "3.9.2", "", 0},
		{[]string{"/opt/bin/kafka-topics", "--version"}, "3.9.2", "", 0},
		{[]string{"kafka-topics.sh"}, "", "Create, delete, describe, or change a topic.", 1},
		{[]string{"kafka-topics", "--help"}, "", "This tool helps to create, delete, describe, or change a topic.", 1},
		{[]string{"kafka-console-producer"}, "", "Missing required option(s) [bootstrap-server]", 1},
		{[]string{"kafka-console-consumer"}, "", "This tool helps to read data from Kafka topics and outputs it to standard output.", 1},
		{[]string{"kafka-get-offsets"}, "", "An interactive shell for getting topic-partition offsets.", 1},
		{[]string{"kafka-broker-api-versions"}, "", "This tool helps to retrieve broker version information.", 1},
		{[]string{"kafka-log-dirs", "--help"}, "", "This tool helps to query log directory usage on the specified brokers.", 1},
		{[]string{"kafka-leader-election", "--topic", "x"}, "", "Missing required option(s): bootstrap-server, election-type", 1},
		{[]string{"kafka-configs"}, "", "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip or client-metrics", 1},
		{[]string{"kafka-configs", "--nonsense"}, "", "nonsense is not a recognized option", 1},
		{[]string{"kafka-reassign-partitions"}, "", "This tool helps to move topic partitions between replicas.", 1},
		{[]string{"kafka-dump-log"}, "", "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.", 1},
		{[]string{"kafka-dump-log.sh", "--print-data-log"}, "", `Missing required argument "[files]"`, 1},
		{[]string{"gregorctl", "dump-log", "--help"}, "Print and check the files of a partition: log, indexes and producer snapshots.", "", 0},
		{[]string{"kafka-cluster"}, "", "usage: kafka-cluster [-h] {cluster-id,unregister} ...", 1},
		{[]string{"kafka-cluster.sh", "cluster-id", "-h"}, "usage: kafka-cluster cluster-id [-h] [--config CONFIG]", "", 1},
		{[]string{"gregorctl", "cluster", "--help"}, "Show the id of a cluster.", "", 0},
		{[]string{"gregorctl", "cluster"}, "", "usage: kafka-cluster [-h] {cluster-id,unregister} ...", 1},
		{[]string{"kafka-consumer-groups"}, "", "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.", 1},
		{[]string{"kafka-consumer-groups.sh", "--list"}, "", `Missing required argument "[bootstrap-server]"`, 1},
		{[]string{"gregorctl", "groups", "--help"}, "List, describe and delete consumer groups, reset and delete their offsets.", "", 0},
		{[]string{"gregorctl", "groups", "--nonsense"}, "", "nonsense is not a recognized option", 1},
		{[]string{"kafka-delete-records"}, "", "This tool helps to delete records of the given partitions down to the specified offset.", 1},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			stdout, stderr, status := execute(t, "", tt.args...)
			first := func(text string) string { line, _, _ := strings.Cut(text, "\n"); return line }
			if first(stdout) != tt.stdout || first(stderr) != tt.stderr || status != tt.status {
				t.Errorf("got %q, %q, %d, want %q, %q, %d", first(stdout), first(stderr), status, tt.stdout, tt.stderr, tt.status)
			}
		})
	}
}

// TestOptionsOfKafka checks that every option of Kafka's scripts is there.
func TestOptionsOfKafka(t *testing.T) {
	want := map[string]string{
		"kafka-topics": "alter at-min-isr-partitions bootstrap-server command-config config create delete delete-config " +
			"describe exclude-internal help if-exists if-not-exists list partition-size-limit-per-response partitions " +
			"replica-assignment replication-factor topic topic-id topics-with-overrides unavailable-partitions " +
			"under-min-isr-partitions under-replicated-partitions version",
		"kafka-broker-api-versions": "bootstrap-server command-config help version",
		"kafka-leader-election":     "admin.config all-topic-partitions bootstrap-server election-type help partition path-to-json-file topic version",
		"kafka-configs": "add-config add-config-file all alter bootstrap-controller bootstrap-server broker broker-defaults broker-logger client " +
			"client-defaults command-config delete-config describe entity-default entity-name entity-type force help ip ip-defaults topic user " +
			"user-defaults version zk-tls-config-file zookeeper",
		"kafka-reassign-partitions": "additional bootstrap-server broker-list cancel command-config disable-rack-aware execute generate help list " +
			"preserve-throttles reassignment-json-file replica-alter-log-dirs-throttle throttle timeout topics-to-move-json-file verify version",
		"kafka-consumer-groups": "all-groups all-topics bootstrap-server by-duration command-config delete delete-offsets describe dry-run execute export " +
			"from-file group help list members offsets reset-offsets shift-by state timeout to-current to-datetime to-earliest to-latest to-offset " +
			"topic type verbose version",
		"kafka-log-dirs":       "bootstrap-server broker-list command-config describe help topic-list version",
		"kafka-delete-records": "bootstrap-server command-config help offset-json-file version",
		"kafka-get-offsets": "bootstrap-server broker-list command-config exclude-internal-topics help partitions time topic " +
			"topic-partitions version",
		"kafka-console-producer": "batch-size bootstrap-server broker-list compression-codec help line-reader max-block-ms " +
			"max-memory-bytes max-partition-memory-bytes message-send-max-retries metadata-expiry-ms producer-property " +
			"producer.config property reader-config request-required-acks request-timeout-ms retry-backoff-ms " +
			"socket-buffer-size sync timeout topic version",
		"kafka-console-consumer": "bootstrap-server consumer-property consumer.config enable-systest-events formatter " +
			"formatter-config from-beginning group help include isolation-level key-deserializer max-messages offset " +
			"partition property skip-message-on-error timeout-ms topic value-deserializer version whitelist",
	}
	for script, names := range want {
		var got []string
		for _, option := range byScript(script).Options.Options() {
			got = append(got, option.Name)
		}
		if strings.Join(got, " ") != names {
			t.Errorf("%s has options\n%s\nwant\n%s", script, strings.Join(got, " "), names)
		}
	}
}

// TestProduceAndConsume sends records of every kind and reads them back, whole, in order and from the middle.
func TestProduceAndConsume(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ZooKeeper and a broker")
	}
	server := []string{"--bootstrap-server", cluster.Start(t, 1, nil).Bootstrap()}
	must := func(stdin string, args ...string) string {
		t.Helper()
		stdout, stderr, status := execute(t, stdin, append([]string{"gregorctl", args[0]}, append(server, args[1:]...)...)...)
		if status != 0 {
			t.Fatalf("gregorctl %v ended with %d\n%s%s", args, status, stdout, stderr)
		}
		return stdout
	}
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, "line %d %s\n", i, strings.Repeat("x", i%300))
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := "lines-" + codec
		must("", "topics", "--create", "--topic", topic)
		must(lines.String(), "produce", "--topic", topic, "--compression-codec", codec, "--batch-size", "100000")
		got := must("", "consume", "--topic", topic, "--from-beginning", "--max-messages", "20000", "--timeout-ms", "10000")
		if got != lines.String() {
			t.Errorf("%s: %d bytes came back of %d, or other ones", codec, len(got), lines.Len())
		}
	}
	consumed := must("", "consume", "--topic", "lines-none", "--partition", "0", "--offset", "19998", "--max-messages", "1",
		"--property", "print.offset=true", "--property", "print.partition=true", "--property", "key.separator=|",
		"--property", "line.separator=;")
	if want := "Partition:0|Offset:19998|line 19998 " + strings.Repeat("x", 19998%300) + ";"; consumed != want {
		t.Errorf("record 19998 was printed as %q, want %q", consumed, want)
	}
	if got := must("", "get-offsets", "--topic-partitions", "lines-.*:0"); strings.Count(got, ":0:20000\n") != 5 {
		t.Errorf("offsets:\n%s", got)
	}
}
