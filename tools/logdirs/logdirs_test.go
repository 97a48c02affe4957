package logdirs

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func TestBrokers(t *testing.T) {
	live := []kmsg.MetadataResponseBroker{{NodeID: 1}, {NodeID: 2}, {NodeID: 17}}
	tests := []struct{ args, want string }{
		{"--describe", "1,17,2"}, // as a hash set lists them
		{"--broker-list 2,1,2,", "1,2"},
		{"--broker-list 9,8,1", "org.apache.kafka.tools.TerseException: ERROR: The given brokers do not exist from --broker-list: 8,9. Current existent brokers: 1,17,2"},
		{"--broker-list x", `java.lang.NumberFormatException: For input string: "x"`},
	}
	for _, tt := range tests {
		options, err := Command().Options.Parse(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		ids, err := brokers(options, live)
		got := join(ids)
		if err != nil {
			got = throwable.String(err)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.args, got, tt.want)
		}
	}
}

func TestFormat(t *testing.T) {
	dirs := map[int32][]kmsg.DescribeLogDirsResponseDir{
		1: {{Dir: "/a", Topics: []kmsg.DescribeLogDirsResponseDirTopic{
			{Topic: "x", Partitions: []kmsg.DescribeLogDirsResponseDirTopicPartition{{Partition: 0, Size: 5}}},
			{Topic: "y", Partitions: []kmsg.DescribeLogDirsResponseDirTopicPartition{{Partition: 3, Size: 7, OffsetLag: 2, IsFuture: true}}}}}},
		2: {{Dir: `/b"`, ErrorCode: kerr.KafkaStorageError.Code}},
	}
	const offline = `{"broker":2,"logDirs":[{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/b\""}]}`
	for _, tt := range []struct {
		topics []string
		want   string
	}{
		{nil, `{"partition":"y-3","size":7,"offsetLag":2,"isFuture":true},{"partition":"x-0","size":5,"offsetLag":0,"isFuture":false}`},
		{[]string{"y"}, `{"partition":"y-3","size":7,"offsetLag":2,"isFuture":true}`},
		{[]string{"none"}, ""},
	} {
		want := `{"brokers":[{"broker":1,"logDirs":[{"partitions":[` + tt.want + `],"error":null,"logDir":"/a"}]},` + offline + `],"version":1}`
		if got := format([]int32{1, 2}, dirs, tt.topics); got != want {
			t.Errorf("topics %v: got\n%s\nwant\n%s", tt.topics, got, want)
		}
	}
}
