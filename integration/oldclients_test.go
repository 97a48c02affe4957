package integration

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// kafkaPython produces and consumes with kafka-python, in versions of the protocol that an old broker has: with each
// codec, from all partitions and as a member of a group.
const kafkaPython = `
import sys, kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.codec import has_lz4, has_snappy

server, topic, version = sys.argv[1], sys.argv[2], sys.argv[3]
version = None if version == "auto" else tuple(int(n) for n in version.split("."))
patience = {"api_version_auto_timeout_ms": 30000}
codecs = [None, "gzip"] + (["snappy"] if has_snappy() else [])
if has_lz4() and version != (0, 9): # which kafka-python itself fails to write in format v0
    codecs.append("lz4")
want = []
for codec in codecs:
    producer = KafkaProducer(bootstrap_servers=server, api_version=version, acks="all", compression_type=codec, linger_ms=5, **patience)
    for i in range(100):
        text = "%s %d" % (codec, i)
        want.append(text)
        at = producer.send(topic, text.encode(), key=b"k")
    if at.get(timeout=30).offset != len(want) - 1:
        sys.exit("the last record has offset %d" % at.get().offset)
    producer.close()

def consume(group, count):
    consumer = KafkaConsumer(bootstrap_servers=server, api_version=version, group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=30000, **patience)
    if group:
        consumer.subscribe([topic])
    else:
        consumer.assign([TopicPartition(topic, 0)])
    got = []
    for message in consumer:
        if message.offset != offset + len(got) or message.key != b"k":
            sys.exit("%r at offset %d" % (message.key, message.offset))
        got.append(message.value.decode())
        if len(got) == count:
            break
    if group:
        consumer.commit()
    consumer.close()
    return got

offset = 0
if consume(None, len(want)) != want:
    sys.exit("without a group other records came back")
half = len(want) // 2
got = consume("group-" + topic, half)
offset = half
got += consume("group-" + topic, len(want) - half)
if got != want:
    sys.exit("with a group other records came back")
print(kafka.__version__, version, codecs)
`

// smallGroups lets one broker keep the offsets of groups, which begin without a delay.
var smallGroups = cluster.Props{"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1", "group.initial.rebalance.delay.ms": "0"}

// TestKafkaPython uses kafka-python 2.0, which many programs do not get away from, as it is and as it was with
// brokers of old. The group goes on from its committed offset.
func TestKafkaPython(t *testing.T) {
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-I", "-c", "from kafka import KafkaConsumer").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("kafka-python is missing: install it (Debian: apt-get install python3-kafka python3-snappy python3-lz4)")
	}
	c := cluster.Start(t, 1, smallGroups)
	for _, version := range []string{"auto", "0.9", "0.10", "0.10.1", "0.11"} {
		t.Run(version, func(t *testing.T) {
			topic := "python-" + version
			c.CreateTopic(topic, 1, 1, nil)
			r := cluster.Run(t, nil, exec.Command(python, "-I", "-c", kafkaPython, c.Bootstrap(), topic, version))
			if r.Exit != 0 {
				t.Fatalf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
			}
			t.Logf("%s", r.Stdout)
		})
	}
}

// TestOldLibrdkafka uses librdkafka as it talks to brokers of old: with each codec, and as a member of a group that
// goes on from its committed offset.
func TestOldLibrdkafka(t *testing.T) {
	c := cluster.Start(t, 1, smallGroups)
	for _, version := range []string{"0.9.0.1", "0.10.0.1", "0.10.1.0", "0.10.2.2"} {
		t.Run(version, func(t *testing.T) {
			topic := "kcat-" + version
			c.CreateTopic(topic, 1, 1, nil)
			args := []string{"-b", c.Bootstrap(), "-q", "-X", "api.version.request=false", "-X", "broker.version.fallback=" + version}
			var want strings.Builder
			for i, codec := range []string{"none", "gzip", "snappy", "lz4"} {
				line := fmt.Sprintf("%d %s\n", i, codec)
				want.WriteString(line)
				cluster.Kcat(t, strings.NewReader(codec), append(args, "-P", "-t", topic, "-z", codec)...)
			}
			group := func(count, want string) {
				t.Helper()
				got := cluster.Kcat(t, nil, append(args, "-c", count, "-f", "%o %s\n", "-X", "auto.offset.reset=earliest", "-G", "group-"+topic, topic)...)
				if string(got) != want {
					t.Errorf("the group got %q, want %q", got, want)
				}
			}
			group("4", want.String())
			cluster.Kcat(t, strings.NewReader("more"), append(args, "-P", "-t", topic)...)
			group("1", "4 more\n")
			got := cluster.Kcat(t, nil, append(args, "-C", "-t", topic, "-o", "2", "-e", "-f", "%o %s\n")...)
			if want := "2 snappy\n3 lz4\n4 more\n"; string(got) != want {
				t.Errorf("consumed %q, want %q", got, want)
			}
		})
	}
}
