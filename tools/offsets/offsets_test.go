package offsets

import (
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]int64{
		"latest": -1, "-1": -1, "earliest": -2, "-2": -2, "max-timestamp": -3, "-3": -3, "earliest-local": -4, "-4": -4,
		"latest-tiered": -5, "-5": -5, "0": 0, "1700000000000": 1700000000000,
	} {
		if got, err := ParseTime(text); got != want || err != nil {
			t.Errorf("%s is %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"abc", "", "Latest", "1.5", "99999999999999999999"} {
		if _, err := ParseTime(text); err == nil || !strings.HasPrefix(err.Error(), "Malformed time argument "+text+". Please use -1 or latest") {
			t.Errorf("%q gives %v", text, err)
		}
	}
}

// TestFailures checks what wrong command lines are answered with, before anything is connected.
func TestFailures(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--topic orders", "Error occurred: Missing required option(s) [bootstrap-server]\n"},
		{"--nonsense", "Error occurred: nonsense is not a recognized option\n"},
		{"--bootstrap-server a:1 --topic a --topic-partitions b", "Error occurred: --topic-partitions cannot be used with --topic or --partitions\n"},
		{"--bootstrap-server a:1 --partitions x", "Error occurred: --partitions expects a comma separated list of numeric partition ids, but received: x\n"},
		{"--bootstrap-server a:1 --topic or[", "Error occurred: or[ is an invalid regex.\njava.lang.RuntimeException: or[ is an invalid regex.\n\n"},
		{"--bootstrap-server a:1 --topic a --topic b", "Error occurred: Found multiple arguments for option topic, but you asked for only one\n" +
			"joptsimple.MultipleArgumentsForOptionException: Found multiple arguments for option topic, but you asked for only one\n\n"},
		{"--bootstrap-server a:1 --command-config nofile", "Error occurred: nofile\njava.nio.file.NoSuchFileException: nofile\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var stderr strings.Builder
			env := &tool.Env{Stdout: &stderr, Stderr: &stderr, Name: "kafka-get-offsets", Kafka: true}
			if status := Command().Main(t.Context(), env, strings.Fields(tt.args)); status != 1 || stderr.String() != tt.want {
				t.Errorf("got %d and %q, want 1 and %q", status, stderr.String(), tt.want)
			}
		})
	}
}
