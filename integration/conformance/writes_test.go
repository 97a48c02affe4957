package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// recordedWrites returns what Kafka wrote to ZooKeeper in each step: for each znode the writes, in order.
func recordedWrites(t *testing.T) map[string]map[string][]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "zk-writes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	steps := map[string]map[string][]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			Step, By, Type, Path, Version string
			Data                          *string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Type != "create" && line.Type != "create ephemeral" && line.Type != "setData" && line.Type != "delete" {
			continue // sessions, and what has failed
		}
		if steps[line.Step] == nil {
			steps[line.Step] = map[string][]string{}
		}
		if line.Type == "delete" {
			line.Data = nil
		}
		write := fmt.Sprintf("%s by %s %s %s", line.Type, line.By, normalWrite(line.Data), strings.TrimPrefix(line.Version, "-"))
		steps[line.Step][line.Path] = append(steps[line.Step][line.Path], strings.TrimSpace(write))
	}
	return steps
}

// keysOfJSON are in no order.
var keysOfJSON = regexp.MustCompile(`^\{.*\}$`)

func normalWrite(data *string) string {
	text := normal(data)
	var v any
	if !keysOfJSON.MatchString(text) || json.Unmarshal([]byte(strings.ReplaceAll(text, ":PORT,", ":0,")), &v) != nil {
		return text
	}
	sorted, _ := json.Marshal(v)
	return string(sorted)
}

// writes is a cluster of three brokers, of which 1 is the controller, and what they write.
type writes struct {
	t      *testing.T
	c      *cluster.Cluster
	zk     *cluster.ZooKeeper
	admin  *kadm.Client
	client *kgo.Client
	want   map[string]map[string][]string
	at     int // so much of what was written is compared
}

// step does something and compares what the brokers write with what Kafka's wrote: for each znode the same, in
// the same order. Which znode comes first is not compared, where it does not matter; Kafka has no order there
// either.
func (w *writes) step(name string, do func()) {
	w.t.Helper()
	do()
	want := w.want[name]
	if want == nil {
		w.t.Fatalf("%s was not recorded", name)
	}
	var got map[string][]string
	var end int
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if got, end = w.since(); cmp.Equal(got, want) {
			break
		}
		if time.Now().After(deadline) {
			w.t.Errorf("%s: other writes than Kafka's (-Kafka +ours):\n%s", name, cmp.Diff(want, got))
			break
		}
	}
	w.at = end
}

// since returns what was written since the last step.
func (w *writes) since() (got map[string][]string, end int) {
	all, err := readTransactions(w.zk)
	if err != nil {
		w.t.Fatal(err)
	}
	chroot := strings.TrimPrefix(w.c.ZooKeeper(), w.zk.Addr())
	sessions := map[int64]string{}
	for _, x := range all {
		if id, ok := strings.CutPrefix(x.path, chroot+"/brokers/ids/"); ok && x.kind == "create ephemeral" {
			sessions[x.session] = "b" + id
		}
	}
	got = map[string][]string{}
	for _, x := range all[w.at:] {
		path, ok := strings.CutPrefix(x.path, chroot)
		if !ok {
			continue
		}
		write := fmt.Sprintf("%s by %s %s", x.kind, sessions[x.session], normalWrite(x.data))
		if x.kind == "setData" {
			write += fmt.Sprint(" new version ", x.version)
		}
		got[path] = append(got[path], write)
	}
	return got, len(all)
}

func (w *writes) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// inSync waits until all replicas of orders are in the ISRs.
func (w *writes) inSync(n int) {
	for p := range int32(3) {
		w.c.Await("ISR", func() bool { return len(w.c.ISR("orders", p)) == n })
	}
}

// TestWrites goes through the scenario whose writes to ZooKeeper were recorded.
func TestWrites(t *testing.T) {
	t.Parallel()
	w := &writes{t: t, zk: cluster.StartZooKeeper(t), want: recordedWrites(t)}
	props := cluster.Props{"zookeeper.session.timeout.ms": "60000", "replica.lag.time.max.ms": "8000", "auto.leader.rebalance.enable": "false"}
	if !onKafka() {
		props["gregor.isr.propagation"] = "controller"
	}
	w.c = cluster.StartOn(t, w.zk, 0, props)
	for range 3 {
		if onKafka() {
			w.c.AddKafka(nil)
		} else {
			w.c.Add(nil)
		}
	}
	if id := w.c.Controller(); id != 1 {
		t.Fatalf("broker %d is the controller", id)
	}
	w.client = w.c.Client()
	w.admin = kadm.NewClient(w.client)
	_, w.at = w.since()

	w.step("create-topic", func() {
		w.create("orders", configOf("retention.ms", ptr("1000000")), []int32{1, 2, 3}, []int32{2, 3, 1})
	})
	w.step("create-partitions", func() {
		req := createPartitions("orders", 3)
		req.Topics[0].Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{{Replicas: []int32{3, 1, 2}}}
		resp, err := req.RequestWith(t.Context(), w.client)
		w.must(err)
		w.must(kerr.ErrorForCode(resp.Topics[0].ErrorCode))
	})
	w.step("alter-topic-config", func() {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: topicResource, ResourceName: "orders",
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "min.insync.replicas", Value: ptr("2")}}}}
		resp, err := w.client.Broker(1).Request(t.Context(), req)
		w.must(err)
		w.must(kerr.ErrorForCode(resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode))
	})
	w.step("first-producer-id", func() {
		_, err := w.client.Broker(1).Request(t.Context(), kmsg.NewPtrInitProducerIDRequest())
		w.must(err)
	})
	w.step("broker-death", func() {
		w.caughtUp()
		w.c.Kill(3)
		w.c.EndSession(3)
	})
	w.step("broker-return", func() {
		w.c.Restart(3)
		w.inSync(3)
	})
	w.step("preferred-election", func() { w.c.Elect("orders", 2, 3) })
	w.step("isr-shrink", func() {
		w.caughtUp()
		w.c.Pause(3)
		w.produceUntil(func() bool { return len(w.c.ISR("orders", 0)) == 2 && len(w.c.ISR("orders", 1)) == 2 })
	})
	w.step("isr-expand", func() {
		w.c.Resume(3)
		w.inSync(3)
	})
	w.step("reassignment", func() {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign("orders", 0, []int32{3, 2})
		results, err := w.admin.AlterPartitionAssignments(t.Context(), req)
		w.must(err)
		w.must(results.Error())
	})
	w.step("controlled-shutdown", func() { w.c.Stop(2) })
	w.step("broker2-return", func() { w.c.Restart(2) })
	w.step("delete-topic", func() {
		_, err := w.admin.DeleteTopics(t.Context(), "orders")
		w.must(err)
	})
}

// create makes a topic with one property and the given replicas.
func (w *writes) create(name string, config kmsg.CreateTopicsRequestTopicConfig, replicas ...[]int32) {
	topic := topicOf(name)
	topic.NumPartitions, topic.ReplicationFactor = -1, -1
	topic.Configs = append(topic.Configs, config)
	for i, r := range replicas {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, assigned(int32(i), r...))
	}
	resp, err := createTopics(topic).RequestWith(w.t.Context(), w.client)
	w.must(err)
	w.must(kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

// caughtUp waits until the leaders know that their followers have everything: they are never late then, however
// long they, or the leaders, are silent.
func (w *writes) caughtUp() {
	producer := w.c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite())
	for p := range int32(3) {
		w.must(producer.ProduceSync(w.t.Context(), &kgo.Record{Topic: "orders", Partition: p, Value: []byte("v")}).FirstErr())
	}
}

// produceUntil has the leaders of orders-0 and 1 append records: a follower is behind only if there is something
// behind which it can be.
func (w *writes) produceUntil(done func() bool) {
	producer := w.c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	w.c.Await("smaller ISRs", func() bool {
		for p := range int32(2) {
			w.must(producer.ProduceSync(w.t.Context(), &kgo.Record{Topic: "orders", Partition: p, Value: []byte("v")}).FirstErr())
		}
		return done()
	})
}
