package records

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func TestParseOffsets(t *testing.T) {
	const (
		mapping   = "com.fasterxml.jackson.databind.JsonMappingException: "
		operation = "org.apache.kafka.server.common.AdminOperationException: "
		command   = "org.apache.kafka.server.common.AdminCommandFailedException: "
	)
	tests := []struct{ text, want string }{
		{`{"partitions":[{"topic":"b","partition":1,"offset":5},{"topic":"a","partition":0,"offset":-1}],"version":1}`, "b-1:5 a-0:-1"},
		{`{"partitions":[]}`, ""},
		{` { "partitions" : [ ] } `, ""},
		{``, operation + "The input string is not a valid JSON"},
		{`not json`, operation + "The input string is not a valid JSON"},
		{`{}`, operation + "Missing partitions field"},
		{`{"version":2,"partitions":[]}`, operation + "Not supported version field value 2"},
		{`{"version":"1","partitions":[]}`, mapping + "Expected `Integer` value, received \"1\""},
		{`[1]`, mapping + "Expected JSON object, received [1]"},
		{`null`, mapping + "Expected JSON object, received null"},
		{`{"partitions":{}}`, mapping + "Expected JSON array, received {}"},
		{`{"partitions":[1]}`, mapping + "Expected JSON object, received 1"},
		{`{"partitions":[{"topic":"a","offset":1}]}`, mapping + "No such field exists: `partition`"},
		{`{"partitions":[{"topic":5,"partition":0,"offset":1}]}`, mapping + "Expected `String` value, received 5"},
		{`{"partitions":[{"topic":null,"partition":0,"offset":1}]}`, mapping + "Expected `String` value, received null"},
		{`{"partitions":[{"topic":"a","partition":"x","offset":1}]}`, mapping + "Expected `Integer` value, received \"x\""},
		{`{"partitions":[{"topic":"a","partition":0,"offset":1.5}]}`, mapping + "Expected `Long` value, received 1.5"},
		{`{"partitions":[{"topic":"a","partition":0,"offset":1},{"topic":"a","partition":0,"offset":2}]}`,
			command + "Offset json file contains duplicate topic partitions: a-0"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			offsets, order, err := parseOffsets([]byte(tt.text))
			var parts []string
			for _, p := range order {
				parts = append(parts, fmt.Sprintf("%s:%d", p, offsets[p]))
			}
			got := strings.Join(parts, " ")
			if err != nil {
				got = throwable.String(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParseOffsets(f *testing.F) {
	f.Add([]byte(`{"partitions":[{"topic":"b","partition":1,"offset":5}],"version":1}`))
	f.Add([]byte(`{"partitions":[{}],"version":1.0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		offsets, order, err := parseOffsets(data)
		if err == nil && len(offsets) != len(order) {
			t.Errorf("%d offsets of %d partitions", len(offsets), len(order))
		}
	})
}

func TestNewRequest(t *testing.T) {
	p, q, r := topic.Partition{Topic: "a", Index: 0}, topic.Partition{Topic: "a", Index: 1}, topic.Partition{Topic: "b", Index: 0}
	req := newRequest(map[topic.Partition]int64{p: 1, q: -1, r: 3}, []topic.Partition{r, p})
	if len(req.Topics) != 2 || req.Topics[0].Topic != "a" || req.Topics[0].Partitions[0].Offset != 1 || req.Topics[1].Partitions[0].Offset != 3 {
		t.Errorf("got %+v", req.Topics)
	}
}
