package apiversions

import (
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/wire"
)

// TestFormat compares with what Kafka's tool printed of a Kafka broker on ZooKeeper.
func TestFormat(t *testing.T) {
	want, err := os.ReadFile("testdata/kafka.txt")
	if err != nil {
		t.Fatal(err)
	}
	var served []kmsg.ApiVersionsResponseApiKey
	for _, a := range wire.APIs() {
		served = append(served, kmsg.ApiVersionsResponseApiKey{ApiKey: a.Key, MinVersion: a.Min, MaxVersion: a.Max})
	}
	if got := format(served) + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLine(t *testing.T) {
	tests := []struct {
		key, oldest, latest int16
		want                string
	}{
		{0, 3, 99, "Produce(0): 3 to 99 [usable: 11]"},
		{45, 0, 0, "AlterPartitionReassignments(45): 0 [usable: 0]"},
		{3, 13, 14, "Metadata(3): 13 to 14 [unusable: node too new]"},
		{52, -2, -1, "Vote(52): -2 to -1 [unusable: node too old]"},
		{999, 1, 2, "UNKNOWN(999): 1 to 2"},
	}
	for _, tt := range tests {
		got := line(kmsg.ApiVersionsResponseApiKey{ApiKey: tt.key, MinVersion: tt.oldest, MaxVersion: tt.latest})
		if got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestNode(t *testing.T) {
	b := kmsg.MetadataResponseBroker{NodeID: 5, Host: "::1", Port: 9092}
	if got := node(b); got != "[::1]:9092 (id: 5 rack: null)" {
		t.Error(got)
	}
	b.Rack = kmsg.StringPtr("r")
	if got := node(b); got != "[::1]:9092 (id: 5 rack: r)" {
		t.Error(got)
	}
}
