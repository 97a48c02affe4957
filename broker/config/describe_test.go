package config

import (
	"fmt"
	"strings"
	"testing"
)

// described are the properties of the broker whose answers describe-broker.tsv and
// describe-topic.tsv hold.
var described = map[string]string{
	"broker.id": "1", "zookeeper.connect": "localhost:2181", "zookeeper.session.timeout.ms": "6000",
	"listeners": "PLAINTEXT://localhost:9092", "log.dirs": "/var/lib/kafka",
	"log.retention.minutes": "600 ", "log.roll.hours": "5", "message.max.bytes": "2000000",
	"log.cleanup.policy": "delete , compact", "unknown.thing": "x", "ssl.key.password": "secret",
	"listener.name.plaintext.max.connections": "77", "listener.name.plaintext.ssl.key.password": "hush",
	"log.cleaner.min.cleanable.ratio": "0.25", "log.initial.task.delay.ms": "1000", "max.connections": "500",
	"log.flush.scheduler.interval.ms": "5000", "inter.broker.protocol.version": "3.9",
	"leader.replication.throttled.rate": "9", "log.message.timestamp.difference.max.ms": "777",
	"offsets.topic.replication.factor": "1", "log.message.format.version": "2.8",
}

// TestDescribeBroker compares with what Kafka 3.9.2 answered to DescribeConfigs with synonyms.
func TestDescribeBroker(t *testing.T) {
	c, _, err := New(described)
	if err != nil {
		t.Fatal(err)
	}
	compareEntries(t, c.DescribeBroker(), golden(t, "describe-broker.tsv"))
}

func TestDescribeTopic(t *testing.T) {
	c, _, err := New(described)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := c.Topic(map[string]string{
		"retention.ms": " 1000", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1", "segment.ms": "60000"})
	if err != nil {
		t.Fatal(err)
	}
	compareEntries(t, topic.Describe(c), golden(t, "describe-topic.tsv"))
}

func compareEntries(t *testing.T, entries []Entry, rows []map[string]string) {
	t.Helper()
	got := make(map[string]Entry)
	for _, e := range entries {
		got[e.Name] = e
		if e.Doc == "" && e.Type != Unknown {
			t.Errorf("%s has no documentation", e.Name)
		}
	}
	if len(entries) != len(rows) {
		t.Errorf("%d entries, want %d", len(entries), len(rows))
	}
	for _, row := range rows {
		e, ok := got[row["name"]]
		if !ok {
			t.Errorf("%s is missing", row["name"])
			continue
		}
		var synonyms []string
		for _, s := range e.Synonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s=%s@%d", s.Name, quoted(s.Value), s.Source))
		}
		columns := map[string]string{"value": quoted(e.Value), "source": fmt.Sprint(int(e.Source)), "read_only": fmt.Sprint(e.ReadOnly),
			"sensitive": fmt.Sprint(e.Sensitive), "type": fmt.Sprint(int(e.Type)), "synonyms": strings.Join(synonyms, " ")}
		for column, value := range columns {
			if value != row[column] {
				t.Errorf("%s: %s is %s, want %s", e.Name, column, value, row[column])
			}
		}
	}
}

func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}
