package server

import (
	"io"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/logger"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

func TestRoutes(t *testing.T) {
	called := ""
	note := func(name string) func(*request.Request) { return func(*request.Request) { called = name } }
	table := newRoutes(map[string]binding{
		"Fetch": {handle: note("Fetch")}, "CreateTopics": {handle: note("CreateTopics"), blocks: true}, "NoSuchAPI": {handle: note("?")},
	})
	if len(table.list) != 2 {
		t.Fatalf("%d routes, want those of the two APIs that exist", len(table.list))
	}
	for _, want := range []struct {
		key, max int16
		name     string
		blocks   bool
	}{{1, 17, "Fetch", false}, {19, 7, "CreateTopics", true}} {
		r := table.Route(want.key)
		if r == nil || r.Name != want.name || r.Min != 0 || r.Max != want.max || r.Blocks != want.blocks {
			t.Errorf("key %d: %+v, want %+v", want.key, r, want)
			continue
		}
		if r.Handler.Handle(nil); called != want.name {
			t.Errorf("key %d calls %s, want %s", want.key, called, want.name)
		}
	}
	for _, key := range []int16{-1, 0, 2, 127, 128, 32767} {
		if table.Route(key) != nil {
			t.Errorf("key %d has a route", key)
		}
	}
}

// TestServedAPIs holds what README promises, and that the controller's orders never wait for a place
// among the requests that wait for them.
func TestServedAPIs(t *testing.T) {
	s, err := New(load(t), logger.New(io.Discard, "info"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.cancel()
	s.features = &featureCache{}
	bound, _ := s.handlers()
	defer s.ids.Close()
	table := newRoutes(bound)
	if len(table.list) != len(bound) {
		t.Errorf("%d APIs are bound, %d of them exist", len(bound), len(table.list))
	}
	blocks := map[string]bool{"ControlledShutdown": true, "CreateTopics": true, "DeleteTopics": true, "CreatePartitions": true, "DescribeConfigs": true,
		"AlterPartitionReassignments": true, "ListPartitionReassignments": true, "ElectLeaders": true, "AlterConfigs": true, "IncrementalAlterConfigs": true, "UpdateFeatures": true,
		"FindCoordinator": true} // which may create its topic
	for _, r := range table.list {
		if r.Blocks != blocks[r.Name] {
			t.Errorf("%s blocks: %v", r.Name, r.Blocks)
		}
		if api := wire.Lookup(r.Key); api == nil || api.Max != r.Max {
			t.Errorf("%s is served up to version %d", r.Name, r.Max)
		}
	}
}

func TestLogConfig(t *testing.T) {
	cfg := load(t, "log.segment.bytes=50000", "log.retention.ms=7", "min.insync.replicas=2")
	effective, err := cfg.Topic(map[string]string{
		"cleanup.policy": "compact,delete", "compression.type": "zstd", "compression.zstd.level": "5", "message.timestamp.type": "LogAppendTime",
		"max.message.bytes": "11", "retention.bytes": "12", "segment.ms": "13", "segment.jitter.ms": "14", "segment.index.bytes": "1500",
		"index.interval.bytes": "16", "file.delete.delay.ms": "17", "flush.messages": "18", "flush.ms": "19", "min.compaction.lag.ms": "20",
		"max.compaction.lag.ms": "21", "delete.retention.ms": "22", "min.cleanable.dirty.ratio": "0.25", "unclean.leader.election.enable": "true",
		"message.downconversion.enable": "false", "preallocate": "true", "message.timestamp.before.max.ms": "23", "message.timestamp.after.max.ms": "24",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := logConfig(effective)
	for name, ok := range map[string]bool{
		"cleanup.policy":      c.Delete && c.Compact && c.Policy.Compacted,
		"compression":         c.Policy.Compression == record.Zstd && c.Policy.ZstdLevel == 5,
		"timestamps":          c.Policy.TimestampType == record.LogAppendTime && c.Policy.BeforeMax == 23 && c.Policy.AfterMax == 24,
		"max.message.bytes":   c.Policy.MaxMessageBytes == 11,
		"segments":            c.SegmentBytes == 50000 && c.SegmentMs == 13 && c.SegmentJitterMs == 14 && c.Preallocate,
		"indexes":             c.SegmentIndexBytes == 1500 && c.IndexIntervalBytes == 16,
		"retention":           c.RetentionBytes == 12 && c.RetentionMs == 7 && c.FileDeleteDelayMs == 17,
		"flush":               c.FlushMessages == 18 && c.FlushMs == 19,
		"compaction":          c.MinCompactionLagMs == 20 && c.MaxCompactionLagMs == 21 && c.DeleteRetentionMs == 22 && c.MinCleanableRatio == 0.25,
		"min.insync.replicas": c.MinInSyncReplicas == 2,
		"unclean election":    c.UncleanLeaderElection,
		"down-conversion":     !c.DownConversion,
	} {
		if !ok {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestStopBeforeStart(t *testing.T) {
	s, err := New(load(t), logger.New(io.Discard, "info"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown of a broker that was never started: %v", err)
		}
	}
}

// A step that fails leaves nothing behind: the next start on the same directory succeeds.
func TestFailedStartLeavesNothing(t *testing.T) {
	address, dir := newChroot(t), t.TempDir()
	run := func(listener string) (*Server, error) {
		s, err := New(load(t, "broker.id=1", "zookeeper.connect="+address, "log.dirs="+dir, "listeners=PLAINTEXT://"+listener), logger.New(io.Discard, "info"))
		if err != nil {
			t.Fatal(err)
		}
		return s, s.Start(t.Context())
	}
	first, err := run("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run("127.0.0.1:0"); err == nil {
		t.Fatal("two brokers share a log directory")
	}
	at := first.network.Endpoints()[0]
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at.Port == 0 {
		t.Fatal("no port")
	}
	if _, err := run("192.0.2.1:9092"); err == nil {
		t.Fatal("listening on another machine's address succeeds")
	}
	started := time.Now()
	again, err := run("127.0.0.1:0")
	if err != nil {
		t.Fatalf("after a start that failed: %v", err)
	}
	if err := again.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took > 15*time.Second { // a session is given up after 18 s
		t.Errorf("start and stop took %v: something was waited for", took)
	}
}
