package server

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// The number of partitions comes from the topic; one that is not there, or has none, is as the configuration will have it.
func TestGroupPartitions(t *testing.T) {
	s := &Server{cfg: load(t, "offsets.topic.num.partitions=7"), zk: connect(t)}
	check := func(what string, want int) {
		t.Helper()
		if got, err := s.groupPartitions(t.Context()); err != nil || got != want {
			t.Errorf("%s: %d partitions, %v; want %d", what, got, err, want)
		}
	}
	check("no topic", 7)
	if err := s.zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := zkutil.TopicPath(topic.ConsumerOffsets)
	if _, err := s.zk.Create(t.Context(), path, []byte(`{"version":2,"partitions":{}}`), zkutil.Persistent); err != nil {
		t.Fatal(err)
	}
	check("a topic without partitions", 7)
	if _, err := s.zk.Set(t.Context(), path, []byte(`{"version":2,"partitions":{"0":[1],"1":[1]}}`), zkutil.AnyVersion); err != nil {
		t.Fatal(err)
	}
	check("a topic", 2)
}
