package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// versioned is a compacted topic on brokers 1, 2 and 3, in the racks a, b and c, and what was written to it last.
type versioned struct {
	*testing.T
	c       *cluster.Cluster
	client  *kgo.Client
	dirs    []string // of broker 3
	written int
	want    map[string]string // the last value of each key; "": a tombstone
}

const versionedTopic = "accounts"

func startVersioned(t *testing.T) *versioned {
	t.Helper()
	props := maps.Clone(quickCleaner)
	props["replica.selector.class"] = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
	base := t.TempDir()
	v := &versioned{T: t, c: cluster.Start(t, 0, props), dirs: []string{filepath.Join(base, "a"), filepath.Join(base, "b")}, want: map[string]string{}}
	v.c.Add(cluster.Props{"broker.rack": "a"})
	v.c.Add(cluster.Props{"broker.rack": "b"})
	v.c.Add(cluster.Props{"broker.rack": "c", "log.dirs": strings.Join(v.dirs, ",")})
	cluster.MustTool(t, nil, "kafka-topics", "--bootstrap-server", v.c.Bootstrap(), "--create", "--topic", versionedTopic,
		"--replica-assignment", "1:2:3", "--config", "cleanup.policy=compact", "--config", "segment.bytes=6000",
		"--config", "min.insync.replicas=2")
	v.c.AwaitTopic(versionedTopic)
	v.client = v.c.Client(kgo.DefaultProduceTopic(versionedTopic), kgo.ProducerBatchMaxBytes(1500))
	return v
}

// write has n more versions of ten keys acknowledged, one of seven a tombstone.
func (v *versioned) write(n int) {
	v.Helper()
	var records []*kgo.Record
	for range n {
		key := fmt.Sprintf("key-%d", v.written%10)
		r := &kgo.Record{Key: []byte(key)}
		if v.written%7 != 0 {
			r.Value = fmt.Appendf(nil, "%08d %60s", v.written, "")
		}
		v.want[key] = string(r.Value)
		records = append(records, r)
		v.written++
	}
	if err := v.client.ProduceSync(deadline(v.T), records...).FirstErr(); err != nil {
		v.Fatal(err)
	}
}

// clean waits until a broker has cleaned everything that there is.
func (v *versioned) clean(id int32) {
	v.Helper()
	end := endOffset(v.T, v.client, versionedTopic)
	roll(v.T, v.c, versionedTopic)
	v.c.Await(fmt.Sprintf("compaction on broker %d", id), func() bool { return cleanedTo(v.T, v.c.Broker(id), versionedTopic+" 0") >= end })
}

// records returns what a reader is given from the beginning by the replica in a rack.
func (v *versioned) records(rack string) []*kgo.Record {
	v.Helper()
	return recordsOf(v.T, v.c, versionedTopic, kgo.Rack(rack))
}

// require has every replica serve, of each key, what was written last, and no version after a newer one.
func (v *versioned) require(when string) {
	v.Helper()
	awaitISR(v.c, versionedTopic, 1, 3)
	v.c.AwaitTopic(versionedTopic)
	for _, rack := range []string{"a", "b", "c"} {
		last, newest := map[string]string{}, map[string]string{}
		for _, r := range v.records(rack) {
			key, value := string(r.Key), string(r.Value)
			if strings.HasPrefix(key, "filler") {
				continue
			}
			if value != "" && value <= newest[key] {
				v.Errorf("%s: in rack %s %s is %.8s at %d, after %.8s", when, rack, key, value, r.Offset, newest[key])
			}
			last[key], newest[key] = value, max(value, newest[key])
		}
		for key, want := range v.want {
			if last[key] != want {
				v.Errorf("%s: in rack %s %s is %.8q, want %.8q", when, rack, key, last[key], want)
			}
		}
	}
}

// diverge has broker 1, which leads, take records that nobody replicates, and die; broker 2 or 3 leads from then on.
func (v *versioned) diverge() {
	v.Helper()
	client := v.c.Client(kgo.DefaultProduceTopic(versionedTopic), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	defer client.Close()
	send := func(key, value string, n int) {
		v.Helper()
		for range n {
			if err := client.ProduceSync(deadline(v.T), &kgo.Record{Key: []byte(key), Value: []byte(value)}).FirstErr(); err != nil {
				v.Fatal(err)
			}
		}
	}
	send("filler", "it finds the leader", 1)
	v.c.Pause(2)
	v.c.Pause(3)
	send("filler", "it answers the fetches that wait", 1)
	send("key-1", "99999999: nobody else has seen it", 20)
	v.c.Kill(1)
	v.c.Resume(2)
	v.c.Resume(3)
	v.c.Await("another leader", func() bool { return v.c.Leader(versionedTopic, 0) > 1 })
}

// move moves the replica of broker 3 into its other directory, while records are written and cleaned.
func (v *versioned) move() {
	v.Helper()
	holds := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, versionedTopic+"-0"))
		return err == nil
	}
	from, to := v.dirs[0], v.dirs[1]
	if holds(to) {
		from, to = to, from
	}
	var req kadm.AlterReplicaLogDirsReq
	req.Add(to, kadm.TopicsSet{versionedTopic: {0: {}}})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if _, err := kadm.NewClient(v.c.Client()).AlterBrokerReplicaLogDirs(deadline(v.T), 3, req); err != nil {
			v.Error(err)
		}
	})
	v.c.Await("the replica in its other directory", func() bool {
		v.write(50)
		return holds(to) && !holds(from)
	})
}

// TestCompactedReplicas: replicas of a compacted topic are cleaned each for itself, and yet all of them serve the last
// acknowledged value of each key, whatever happens to them: a new one copies a log with holes; one that led truncates
// what nobody else has, by epochs of which the others have no record left; one moves to another directory.
func TestCompactedReplicas(t *testing.T) {
	v := startVersioned(t)
	v.write(400)
	v.clean(1)
	v.require("cleaned")

	v.c.Kill(2)
	v.write(400)
	v.clean(1)
	v.c.EndSession(2) // which stands in its directory
	if err := os.RemoveAll(v.c.Broker(2).DataDir()); err != nil {
		t.Fatal(err)
	}
	v.c.Restart(2)
	v.require("a replica is new")

	v.diverge()
	v.write(400)
	v.clean(v.c.Leader(versionedTopic, 0))
	v.c.Restart(1)
	v.require("the old leader is back")

	if v.c.Leader(versionedTopic, 0) != 1 {
		cluster.MustTool(t, nil, "kafka-leader-election", "--bootstrap-server", v.c.Bootstrap(), "--election-type", "preferred",
			"--topic", versionedTopic, "--partition", "0")
	}
	v.c.Await("the preferred leader", func() bool { return v.c.Leader(versionedTopic, 0) == 1 })
	v.write(400)
	v.clean(1)
	v.require("the old leader leads again")

	v.move()
	v.require("a replica has moved")

	cluster.MustTool(t, nil, "kafka-configs", "--bootstrap-server", v.c.Bootstrap(), "--alter", "--topic", versionedTopic,
		"--add-config", "delete.retention.ms=100")
	for _, rack := range []string{"a", "b", "c"} {
		v.c.Await("tombstones gone in rack "+rack, func() bool {
			roll(t, v.c, versionedTopic)
			for _, r := range v.records(rack) {
				if r.Value == nil {
					return false
				}
			}
			return true
		})
	}
	v.require("tombstones are gone")
}
