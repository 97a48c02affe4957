package config

import (
	"os"
	"strings"
	"testing"
)

// golden reads a table recorded from Kafka 3.9.2 as a list of rows by column name.
func golden(t *testing.T, file string) []map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := make(map[string]string)
		for i, cell := range strings.Split(line, "\t") {
			row[columns[i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// shownDefault writes a default as the golden tables do.
func shownDefault(p *Property) string {
	switch p.Default {
	case null:
		return "null"
	case "":
		return `""`
	}
	return p.Default
}

func shownValid(p *Property) string {
	if p.Valid == nil {
		return "-"
	}
	return p.Valid.String()
}

func TestBrokerTableIsKafkas(t *testing.T) {
	rows := golden(t, "broker-configs.tsv")
	kafkas := 0
	for p := range Properties() {
		if !strings.HasPrefix(p.Name, "gregor.") {
			kafkas++
		}
	}
	if kafkas != len(rows) {
		t.Errorf("the table has %d of Kafka's properties, Kafka has %d", kafkas, len(rows))
	}
	for _, row := range rows {
		p, ok := table[row["name"]]
		if !ok {
			t.Errorf("no property %s", row["name"])
			continue
		}
		got := map[string]string{
			"type": p.Type.String(), "default": shownDefault(p), "valid_values": shownValid(p),
			"importance": p.Importance.String(), "dynamic": p.Scope.String(),
			"describe_synonyms": strings.Join(p.synonyms(), ","), "topic_synonym": topicSynonym(p.Name),
		}
		for column, value := range got {
			if value != row[column] {
				t.Errorf("%s: %s is %q, want %q", p.Name, column, value, row[column])
			}
		}
		if internal := row["internal"] == "true"; internal != p.Internal() {
			t.Errorf("%s: internal is %v, want %v", p.Name, p.Internal(), internal)
		}
		if sensitive := row["sensitive"] == "true"; sensitive != p.Sensitive() {
			t.Errorf("%s: sensitive is %v, want %v", p.Name, p.Sensitive(), sensitive)
		}
	}
}

// topicSynonym returns the topic property that falls back on a property of the broker.
func topicSynonym(name string) string {
	for i := range topicProperties {
		for _, server := range serverNames(&topicProperties[i]) {
			if server == name {
				return topicProperties[i].Name
			}
		}
	}
	return "-"
}

func serverNames(p *topicProperty) []string {
	for _, chain := range chains {
		if chain.names[0] == p.server {
			return chain.names
		}
	}
	return []string{p.server}
}

func TestTopicTableIsKafkas(t *testing.T) {
	rows := golden(t, "topic-configs.tsv")
	if got := len(topicProperties); got != len(rows) {
		t.Errorf("the table has %d properties, Kafka has %d", got, len(rows))
	}
	for _, row := range rows {
		p, ok := topicTable[row["name"]]
		if !ok {
			t.Errorf("no topic property %s", row["name"])
			continue
		}
		server := p.server
		if server == "" {
			server = "(none)"
		}
		got := map[string]string{"type": p.Type.String(), "default": shownDefault(&p.Property), "valid_values": shownValid(&p.Property),
			"importance": p.Importance.String(), "server_property": server}
		for column, value := range got {
			if value != row[column] {
				t.Errorf("%s: %s is %q, want %q", p.Name, column, value, row[column])
			}
		}
	}
}

// TestDefaultsAreValid reads every default as if a file held it.
func TestDefaultsAreValid(t *testing.T) {
	for p := range Properties() {
		if p.Doc == "" {
			t.Errorf("%s has no doc line", p.Name)
		}
		if !p.HasDefault() {
			continue
		}
		value, problem := p.read(p.Default)
		if problem != nil {
			t.Errorf("%s: %s", p.Name, problem.Text)
		} else if got := format(value); got != p.Default {
			t.Errorf("%s: the default %q is shown as %q", p.Name, p.Default, got)
		}
	}
}
