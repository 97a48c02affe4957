package conformance

import (
	"bufio"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// znode is what is compared of one: what differs from run to run is replaced.
type znode struct {
	Data      string
	Ephemeral bool
	Version   int32
	CVersion  int32
	ACL       []string
	Untouched bool // nothing was written since the transaction that created it
}

// tree is znodes by their paths; order is the order in which they were created.
type tree struct {
	nodes map[string]znode
	order []string
}

// varying is what differs from run to run, and the listener that only the recorded brokers had.
var varying = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`,"SASL_PLAINTEXT":"SASL_PLAINTEXT"`), ``},
	{regexp.MustCompile(`,"SASL_PLAINTEXT://127.0.0.1:\d+"`), ``},
	{regexp.MustCompile(`127.0.0.1:\d+`), `127.0.0.1:PORT`},
	{regexp.MustCompile(`"port":\d+`), `"port":PORT`},
	{regexp.MustCompile(`"timestamp":"\d{13}"`), `"timestamp":"TIME"`},
	{regexp.MustCompile(`"topic_id":"[\w-]{22}"`), `"topic_id":"ID"`},
	{regexp.MustCompile(`"id":"[\w-]{22}"`), `"id":"ID"`},
}

func normal(data *string) string {
	if data == nil {
		return "null"
	}
	text := *data
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.replacement)
	}
	return text
}

// recordedTree reads a file below testdata/znodes.
func recordedTree(t *testing.T, name string) tree {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "znodes", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	recorded := tree{nodes: map[string]znode{}}
	created := map[string]int64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			Path              string
			Data              *string
			Ephemeral         bool
			Version, CVersion int32
			ACL               []string
			Czxid, Mzxid      int64
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		n := znode{normal(line.Data), line.Ephemeral, line.Version, line.CVersion, line.ACL, line.Czxid == line.Mzxid}
		if line.Path == "/" {
			// The znodes of ACLs and of delegation tokens are left out: they are created only with an
			// authorizer and a secret, as the recorded cluster had them.
			n.CVersion -= 5
		}
		recorded.nodes[line.Path], created[line.Path] = n, line.Czxid
	}
	recorded.order = byCreation(created)
	return recorded
}

func byCreation(created map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(created), func(a, b string) int { return int(created[a] - created[b]) })
}

// tree reads everything below the cluster's path.
func (z *zooKeeper) tree(t *testing.T) tree {
	t.Helper()
	read := tree{nodes: map[string]znode{}}
	created := map[string]int64{}
	var visit func(path string) error
	visit = func(path string) error {
		full := z.chroot + strings.TrimSuffix(path, "/")
		data, stat, err := z.Get(full)
		if err != nil {
			return err
		}
		acl, _, err := z.GetACL(full)
		if err != nil {
			return err
		}
		n := znode{normal(text(data)), stat.EphemeralOwner != 0, stat.Version, stat.Cversion, aclText(acl), stat.Czxid == stat.Mzxid}
		read.nodes[path], created[path] = n, stat.Czxid
		children, _, err := z.Children(full)
		for _, child := range children {
			if err := visit(strings.TrimSuffix(path, "/") + "/" + child); err != nil && !errors.Is(err, zk.ErrNoNode) {
				return err
			}
		}
		return err
	}
	if err := visit("/"); err != nil {
		t.Fatal(err)
	}
	read.order = byCreation(created)
	return read
}

// text returns the data of a znode; ZooKeeper's client cannot tell no data from empty data, and Kafka
// writes none that is empty.
func text(data []byte) *string {
	if len(data) == 0 {
		return nil
	}
	s := string(data)
	return &s
}

func aclText(list []zk.ACL) []string {
	var all []string
	for _, a := range list {
		perms := ""
		for i, letter := range "rwcda" {
			if a.Perms&(1<<i) != 0 {
				perms += string(letter)
			}
		}
		if perms == "rwcda" {
			perms = "cdrwa" // as it is shown
		}
		all = append(all, a.Scheme+":"+a.ID+":"+perms)
	}
	return all
}

// history is the scenario whose znodes were recorded: broker 1 is real and the controller, brokers 2
// and 3 only obey.
type history struct {
	*single
	third *fake
}

// TestZnodes goes through the recorded scenario as far as it is built, and compares the znodes after
// each step.
func TestZnodes(t *testing.T) {
	t.Parallel()
	h := &history{single: &single{t: t, c: start(t, 0, cluster.Props{"broker.rack": "rack1", "zookeeper.session.timeout.ms": "30000",
		"replica.lag.time.max.ms": "3600000"})}} // the others copy nothing, and are in sync all the same
	if onKafka() {
		h.c.AddKafka(nil)
	} else {
		h.c.Add(nil)
	}
	h.addr = h.c.Broker(1).Addr()
	h.zk = openZooKeeper(t, h.c.ZooKeeper(), 30*time.Second)

	h.compare(t, "01-first-broker")
	if got, want := h.zk.tree(t).order, recordedTree(t, "01-first-broker").order; !slices.Equal(got, want) {
		t.Errorf("znodes were created in another order than by Kafka:\n%s", cmp.Diff(want, got))
	}
	startFake(t, h.zk, 2, "rack2")
	h.third = startFake(t, h.zk, 3, "rack3")
	h.compare(t, "02-three-brokers")

	w := &world{t: t, c: h.c, zk: h.zk, ids: map[string][16]byte{}}
	w.await("three brokers", func() bool { return len(w.metadata(12).Brokers) == 3 })
	w.create("assigned", nil, []int32{1, 2, 3}, []int32{2, 3, 1}, []int32{3, 1, 2})
	w.create("plain", nil, []int32{2, 3}, []int32{3, 1})
	w.create("with-config", map[string]string{"cleanup.policy": "compact", "min.insync.replicas": "2"}, []int32{1, 2, 3})
	h.compare(t, "03-topics")
	h.producerIDs(t)

	if list := errorsIn(ask[*kmsg.CreatePartitionsResponse](t, h.addr, withVersion(createPartitions("plain", 4), 3))); len(list) > 0 {
		t.Fatal(list)
	}
	h.compare(t, "14-partitions-added", "/brokers", "/admin", "/config/topics")
	w.create("doomed", nil, []int32{3, 1}, []int32{1, 2})
	h.compare(t, "15-doomed-created", "/brokers", "/admin", "/config/topics")
	h.third.die(t)
	h.compare(t, "16b-broker3-session-expired", "/brokers", "/admin", "/config/topics")
	if list := errorsIn(ask[*kmsg.DeleteTopicsResponse](t, h.addr, withVersion(deleteTopics(20_000, "doomed"), 6))); len(list) > 0 {
		t.Fatal(list)
	}
	h.compare(t, "17-delete-pending", "/brokers", "/admin", "/config/topics")
	// The deletion that waited for broker 3 is completed. It copies nothing, so that ISRs stay small.
	h.third = startFake(t, h.zk, 3, "rack3")
	h.compare(t, "19-broker3-back", "/brokers/ids", "/brokers/topics/doomed", "/admin", "/config/topics")
	h.deletion(t)
}

// producerIDs checks what the first idempotent producer leaves.
func (h *history) producerIDs(t *testing.T) {
	t.Helper()
	cluster.Await(t, patience, "producer id", func() bool {
		return ask[*kmsg.InitProducerIDResponse](t, h.addr, withVersion(initProducerID(nil, 60_000, -1, -1), 4)).ErrorCode == 0
	})
	got := h.zk.tree(t).nodes["/latest_producer_id_block"]
	if want := `{"version":1,"broker":1,"block_start":"0","block_end":"999"}`; got.Data != want || got.Version != 1 {
		t.Errorf("/latest_producer_id_block is %+v, want %s in version 1", got, want)
	}
}

// deletion checks what the deletion of a topic leaves while all brokers live: nothing.
func (h *history) deletion(t *testing.T) {
	t.Helper()
	before := h.zk.tree(t).nodes
	if list := errorsIn(ask[*kmsg.DeleteTopicsResponse](t, h.addr, withVersion(deleteTopics(20_000, "with-config"), 6))); len(list) > 0 {
		t.Fatal(list)
	}
	want := maps.Clone(before)
	maps.DeleteFunc(want, func(path string, _ znode) bool {
		return strings.HasSuffix(path, "/with-config") || strings.Contains(path, "/with-config/")
	})
	for path, times := range map[string]int32{"/admin/delete_topics": 2, "/brokers/topics": 1, "/config/topics": 1} {
		n := want[path]
		n.CVersion += times
		want[path] = n
	}
	diff := ""
	if !eventually(func() bool {
		diff = cmp.Diff(want, h.zk.tree(t).nodes)
		return diff == ""
	}) {
		t.Errorf("after the deletion of a topic (-want +got):\n%s", diff)
	}
}

// eventually polls until done reports true, and returns whether it did.
func eventually(done func() bool) bool {
	for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// compare waits until the znodes below the given paths, or all, are as recorded.
func (h *history) compare(t *testing.T, step string, below ...string) {
	t.Helper()
	want := recordedTree(t, step).nodes
	only(want, below)
	diff := ""
	if !eventually(func() bool {
		got := h.zk.tree(t).nodes
		only(got, below)
		diff = cmp.Diff(want, got)
		return diff == ""
	}) {
		t.Errorf("%s (-Kafka +Gregor):\n%s", step, diff)
	}
}

// only drops what is not below one of the paths, and the config of plain, which was altered in the
// recorded scenario.
func only(nodes map[string]znode, below []string) {
	if len(below) == 0 {
		return
	}
	maps.DeleteFunc(nodes, func(path string, _ znode) bool {
		return path == "/config/topics/plain" || !slices.ContainsFunc(below, func(b string) bool {
			return path == b || strings.HasPrefix(path, b+"/")
		})
	})
}
