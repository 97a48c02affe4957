package elect

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func TestCheck(t *testing.T) {
	const both = "--bootstrap-server s --election-type preferred "
	tests := []struct{ args, want string }{
		{both + "--topic t --partition 1", ""},
		{both + "--all-topic-partitions", ""},
		{both + "--path-to-json-file f", ""},
		{"--topic t", "Missing required option(s): bootstrap-server, election-type"},
		{"--bootstrap-server s", "Missing required option(s): election-type"},
		{both, "One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file"},
		{both + "--topic t --all-topic-partitions", "One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file"},
		{both + "--topic t", "Missing required option(s): partition"},
		{both + "--all-topic-partitions --partition 1", "Option partition is only allowed if topic is used"},
	}
	for _, tt := range tests {
		options, err := Command().Options.Parse(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := check(options); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestParsePartitions(t *testing.T) {
	const (
		operation = "org.apache.kafka.server.common.AdminOperationException: "
		mapping   = "java.lang.RuntimeException: com.fasterxml.jackson.databind.JsonMappingException: "
	)
	tests := []struct{ text, want string }{
		{`{"partitions":[{"topic":"b","partition":1},{"topic":"a","partition":0}],"version":1}`, "b-1 a-0"},
		{`{"partitions":[]}`, "none"},
		{``, operation + "Replica election data is empty"},
		{`not json`, operation + "Replica election data is empty"},
		{`{}`, operation + `Replica election data is missing "partitions" field`},
		{`[]`, mapping + "Expected JSON object, received []"},
		{`{"partitions":5}`, mapping + "Expected JSON array, received 5"},
		{`{"partitions":[{"topic":5}]}`, mapping + "Expected `String` value, received 5"},
		{`{"partitions":[{"topic":"a"}]}`, mapping + "No such field exists: `partition`"},
		{`{"partitions":[{"topic":"el","partition":1},{"topic":"el","partition":1},{"topic":"el","partition":0},{"topic":"el","partition":0}]}`,
			operation + "Replica election data contains duplicate partitions: [el-1, el-0]"},
	}
	for _, tt := range tests {
		partitions, err := parsePartitions([]byte(tt.text))
		var names []string
		for _, p := range partitions {
			names = append(names, p.String())
		}
		got := strings.Join(names, " ")
		switch {
		case err != nil:
			got = throwable.String(err)
		case partitions != nil && len(partitions) == 0:
			got = "none"
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestReport checks what is said of elections of which some took place, some were not needed and some failed.
func TestReport(t *testing.T) {
	var out strings.Builder
	err := report(&tool.Env{Stdout: &out}, "UNCLEAN", map[topic.Partition]error{
		{Topic: "a", Index: 0}: nil,
		{Topic: "a", Index: 1}: throwable.FromCode(kerr.ElectionNotNeeded.Code, nil),
		{Topic: "a", Index: 2}: throwable.FromCode(kerr.EligibleLeadersNotAvailable.Code, nil),
		{Topic: "a", Index: 3}: nil,
	})
	const failed = "org.apache.kafka.common.errors.EligibleLeadersNotAvailableException: Eligible topic partition leaders are not available."
	const want = "Successfully completed leader election (UNCLEAN) for partitions a-0, a-3\n" +
		"Valid replica already elected for partitions a-1\n" +
		"Error completing leader election (UNCLEAN) for partition: a-2: " + failed + "\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	const trace = "org.apache.kafka.server.common.AdminCommandFailedException: 1 replica(s) could not be elected\n\tSuppressed: " + failed + "\n"
	if err == nil || throwable.Trace(err) != trace {
		t.Errorf("got %v, want %s", err, trace)
	}
}
