package admin

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

func describeDirs(t *testing.T, h *LogDirs, version int16, topics []kmsg.DescribeLogDirsRequestTopic) []kmsg.DescribeLogDirsResponseDir {
	t.Helper()
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version, req.Topics = version, topics
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	fixture.Do(t, request.HandlerFunc(h.Describe), req, resp)
	if resp.ErrorCode != 0 {
		t.Fatalf("v%d: error %d", version, resp.ErrorCode)
	}
	return resp.Dirs
}

// replicasIn shows what a directory holds.
func replicasIn(d kmsg.DescribeLogDirsResponseDir) (all []string) {
	for _, t := range d.Topics {
		for _, p := range t.Partitions {
			all = append(all, fmt.Sprintf("%s-%d size=%v lag=%d future=%v", t.Topic, p.Partition, p.Size > 0, p.OffsetLag, p.IsFuture))
		}
	}
	return all
}

func alterDirs(t *testing.T, h *LogDirs, version int16, dirs ...kmsg.AlterReplicaLogDirsRequestDir) map[string]int16 {
	t.Helper()
	req := kmsg.NewPtrAlterReplicaLogDirsRequest()
	req.Version, req.Dirs = version, dirs
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	fixture.Do(t, request.HandlerFunc(h.Alter), req, resp)
	codes := map[string]int16{}
	for _, rt := range resp.Topics {
		for _, p := range rt.Partitions {
			codes[fmt.Sprintf("%s-%d", rt.Topic, p.Partition)] = p.ErrorCode
		}
	}
	return codes
}

func toDir(dir, name string, partitions ...int32) kmsg.AlterReplicaLogDirsRequestDir {
	return kmsg.AlterReplicaLogDirsRequestDir{Dir: dir, Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: name, Partitions: partitions}}}
}

func TestLogDirs(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	b := fixture.New(t, dirs...)
	h := &LogDirs{Storage: b.Storage, Replicas: b.Replicas, Logger: b.Logger}
	b.Topic(t, "orders", 2, []int32{1, 2}, nil)
	b.Topic(t, "elsewhere", 1, []int32{2}, nil)
	where := func(index int32) (here, there string) {
		for i, d := range dirs {
			if b.Storage.Log(topic.Partition{Topic: "orders", Index: index}).Dir() == d {
				return d, dirs[1-i]
			}
		}
		return "", ""
	}
	p, err := b.Replicas.Partition(topic.Partition{Topic: "orders"})
	if err == nil {
		_, err = p.Append(fixture.Batch(t, 3, 10, record.BuilderOptions{}), record.Client, false, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	here, there := where(0)
	for version := int16(0); version <= 2; version++ {
		got := alterDirs(t, h, version, toDir(there, "orders", 0), toDir("/nowhere", "orders", 1), toDir(here, "elsewhere", 0), toDir(here, "unknown", 7))
		if got["orders-0"] != 0 || got["orders-1"] != 57 || got["elsewhere-0"] != 9 || got["unknown-7"] != 3 || len(got) != 4 {
			t.Errorf("v%d: %v", version, got)
		}
	}
	for version := int16(0); version <= 4; version++ {
		for _, d := range describeDirs(t, h, version, nil) {
			want := map[string]string{here: "[orders-0 size=true lag=0 future=false]", there: "[orders-0 size=false lag=3 future=true orders-1 size=false lag=0 future=false]"}[d.Dir]
			if got := fmt.Sprint(replicasIn(d)); got != want || d.ErrorCode != 0 {
				t.Errorf("v%d: %s holds %s, error %d, want %s", version, d.Dir, got, d.ErrorCode, want)
			}
			if known := version >= 4; (d.TotalBytes > 0) != known || (d.UsableBytes > 0) != known {
				t.Errorf("v%d: %d bytes of %d usable", version, d.UsableBytes, d.TotalBytes)
			}
		}
	}
	only := []kmsg.DescribeLogDirsRequestTopic{{Topic: "orders", Partitions: []int32{1}}, {Topic: "unknown", Partitions: []int32{0}}}
	for _, d := range describeDirs(t, h, 4, only) {
		if want := map[string]int{here: 0, there: 1}[d.Dir]; len(replicasIn(d)) != want {
			t.Errorf("only orders-1: %s holds %v", d.Dir, replicasIn(d))
		}
	}
	b.Storage.FailDir(there, fmt.Errorf("pulled out"))
	for _, d := range describeDirs(t, h, 4, nil) {
		if failed := d.Dir == there; failed != (d.ErrorCode == 56) || failed && (len(d.Topics) > 0 || d.TotalBytes != -1 || d.UsableBytes != -1) {
			t.Errorf("%s: %+v", d.Dir, d)
		}
	}
	if got := alterDirs(t, h, 2, toDir(there, "orders", 0), toDir(here, "orders", 1)); got["orders-0"] != 56 || got["orders-1"] != 56 {
		t.Errorf("with a failed directory: %v", got)
	}
}

// TestAlterLogDirTwice: the last directory named for a partition counts.
func TestAlterLogDirTwice(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	b := fixture.New(t, dirs...)
	h := &LogDirs{Storage: b.Storage, Replicas: b.Replicas, Logger: b.Logger}
	b.Topic(t, "orders", 1, []int32{1}, nil)
	name := topic.Partition{Topic: "orders"}
	here := b.Storage.Log(name).Dir()
	if got := alterDirs(t, h, 2, toDir("/nowhere", "orders", 0), toDir(here, "orders", 0)); len(got) != 1 || got["orders-0"] != 0 || b.Storage.Future(name) != nil {
		t.Errorf("answer %v, future log %v", got, b.Storage.Future(name))
	}
}
