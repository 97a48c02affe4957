package kafka

import (
	"strings"
	"testing"
)

func TestPomNamesTheVersion(t *testing.T) {
	if !strings.Contains(string(pom), "<version>"+Version+"</version>") {
		t.Errorf("pom.xml does not fetch Kafka %s", Version)
	}
}

func TestToolRuns(t *testing.T) {
	cmd, err := Command(t.Context(), Options{}, "kafka-topics.sh", "--version")
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(output), Version) {
		t.Errorf("kafka-topics --version: %v, %q", err, output)
	}
}

func TestUnknownTool(t *testing.T) {
	if _, err := Command(t.Context(), Options{}, "kafka-nonsense"); err == nil {
		t.Error("a tool that Kafka does not have was found")
	}
}
