package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// differs are the rows of which Gregor says something else than Kafka, which looks at Java classes.
var differs = map[string]string{
	"authorizer.class.name=no.such.Class":      "authorizer.class.name=no.such.Class is not supported",
	"principal.builder.class=java.lang.String": "principal.builder.class=java.lang.String is not supported",
}

// effective are the settings of the table, by the names it gives them.
var effective = map[string]func(*Config) string{
	"log directories":              func(c *Config) string { return strings.Join(c.LogDirs(), ", ") },
	"broker.id":                    func(c *Config) string { return fmt.Sprint(c.BrokerID()) },
	"node.id":                      func(c *Config) string { return fmt.Sprint(c.Int("node.id")) },
	"ZooKeeper connection timeout": func(c *Config) string { return fmt.Sprint(c.ZooKeeperConnectionTimeout().Milliseconds()) },
	"advertised listeners":         func(c *Config) string { return endpoints(c.AdvertisedListeners()) },
	"inter-broker listener":        (*Config).InterBrokerListener,
	"alter-log-dirs threads": func(c *Config) string {
		if n := c.Int("num.replica.alter.log.dirs.threads"); n != 0 {
			return fmt.Sprint(n)
		}
		return fmt.Sprint(len(c.LogDirs()))
	},
	"inter.broker.protocol.version": func(c *Config) string { return c.InterBrokerProtocol().String() },
	"accepted?":                     func(*Config) string { return "accepted" },
	"remote copier threads": func(c *Config) string {
		if n := c.Int("remote.log.manager.copier.thread.pool.size"); n != -1 {
			return fmt.Sprint(n)
		}
		return fmt.Sprint(c.Int("remote.log.manager.thread.pool.size"))
	},
	"delegation token secret": func(c *Config) string {
		for _, name := range []string{"delegation.token.secret.key", "delegation.token.master.key"} {
			if c.Has(name) {
				return c.Text(name)
			}
		}
		return "null (tokens off)"
	},
	"message.timestamp.before.max.ms": topicSetting("message.timestamp.before.max.ms"),
	"message.timestamp.after.max.ms":  topicSetting("message.timestamp.after.max.ms"),
}

func endpoints(list []Endpoint) string {
	var parts []string
	for _, e := range list {
		parts = append(parts, fmt.Sprintf("%s (%s)", e, e.Protocol))
	}
	return strings.Join(parts, ", ")
}

func topicSetting(name string) func(*Config) string {
	return func(c *Config) string {
		topic, err := c.Topic(nil)
		if err != nil {
			return err.Error()
		}
		return format(topic.values[name])
	}
}

// TestEffectiveSettings starts from the properties of each row and expects the setting, or the error,
// that Kafka had. What only Gregor refuses does not count here.
func TestEffectiveSettings(t *testing.T) {
	for _, row := range golden(t, "broker-config-effective.tsv") {
		properties, setting, want := row["properties_set"], row["effective_setting"], row["effective_value"]
		t.Run(properties+" "+setting, func(t *testing.T) {
			get := effective[setting]
			if name, isTopic := strings.CutPrefix(setting, "topic default "); isTopic {
				get = topicSetting(name)
			}
			set := map[string]string{"zookeeper.connect": "localhost:2181"}
			switch properties {
			case "(nothing)":
			case "(not even zookeeper.connect)":
				delete(set, "zookeeper.connect")
			default:
				for pair := range strings.SplitSeq(properties, ";") {
					name, value, _ := strings.Cut(pair, "=")
					set[name] = value
				}
			}
			c, problems := build(set)
			if text, ok := differs[properties]; ok {
				want = "start error: " + text
			}
			if text, isError := strings.CutPrefix(want, "start error: "); isError {
				for _, p := range problems {
					if strings.HasPrefix(p.Text, text) {
						return
					}
				}
				t.Fatalf("problems %v, want %q", problems, text)
			}
			for _, p := range problems {
				if !p.Refused {
					t.Errorf("refused: %s", p.Text)
				}
			}
			if got := get(c); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestStartsWhereKafkaStarts sets the properties of each row, besides zookeeper.connect, and expects the broker to start,
// or not, as Kafka did. What only Gregor refuses, since it is not built, counts as started here.
func TestStartsWhereKafkaStarts(t *testing.T) {
	for _, row := range golden(t, "broker-config-start.tsv") {
		set := map[string]string{"zookeeper.connect": "localhost:2181"}
		for pair := range strings.SplitSeq(row["properties_set"], ";") {
			name, value, _ := strings.Cut(pair, "=")
			set[name] = value
		}
		_, _, err := New(set)
		var problems []Problem
		if e, ok := errors.AsType[*Error](err); ok {
			problems = e.Problems
		}
		if row["at_start"] == "accepted" {
			problems = slices.DeleteFunc(problems, func(p Problem) bool { return p.Refused })
		}
		if refused := len(problems) > 0; refused != (row["at_start"] != "accepted") {
			t.Errorf("%s: got %v, Kafka's start: %s", row["properties_set"], err, row["at_start"])
		}
		for _, p := range problems {
			value, said := set[p.Property], p.setting+p.Text
			if !strings.Contains(said, p.Property) || !strings.Contains(said, trim(value)) {
				t.Errorf("%s: the reason does not name property and value: %s", row["properties_set"], said)
			}
		}
	}
}
