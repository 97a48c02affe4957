package controller

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHistories replays testdata: what happens to the cluster, and what the controller writes and
// sends. "event" lines are the events that watches have put into the loop's queue; "log" lines are
// warnings and errors.
func TestHistories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		h := newHistory()
		h.t = t
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			h.out.Reset()
			if err := h.command(t, d); err != nil {
				fmt.Fprintf(&h.out, "error: %v\n", err)
			}
			h.drain()
			return h.out.String()
		})
	})
}

// history is an active controller on a ZooKeeper and with brokers that exist in memory only.
type history struct {
	*Controller
	zk      *fakeZooKeeper
	peers   *fakePeers
	gone    fakeLookout
	out     strings.Builder
	ids     map[string][16]byte // of topics
	t       *testing.T
	changes int  // of ISRs, so far
	unclean bool // the broker's unclean.leader.election.enable
}

func newHistory() *history {
	h := &history{ids: map[string][16]byte{}, gone: fakeLookout{}, Controller: &Controller{queue: newQueue(), log: logrus.New()}}
	h.zk = newFakeZooKeeper(&h.out)
	h.peers = &fakePeers{out: &h.out}
	h.zk.fired = func(e zkutil.Event) { h.watched(e) }
	h.zk.recording = h.peers.flush
	return h
}

// begin starts a new term.
func (h *history) begin(epoch int32, keepTopics, unclean bool) error {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.AddHook(warnings{&h.out})
	h.zk.epoch, h.unclean = epoch, unclean
	clear(h.zk.data)
	clear(h.zk.children)
	h.peers.pending = map[int32][]kmsg.Request{}
	h.Controller = &Controller{queue: newQueue(), log: log}
	h.term = &term{core: &core{
		state: newState(), id: 1, listener: "PLAINTEXT", zk: h.zk, peers: h.peers, vigil: h.gone, log: log,
		unclean: func() bool { return h.unclean }, deletesTopics: !keepTopics,
	}}
	h.term.core.fence = zkutil.Fence{Epoch: epoch, Version: epoch}
	h.term.core.takeProducerIDs, h.term.core.setFeatures = h.takeProducerIDs, h.setFeatures
	return h.term.core.failover(context.Background())
}

// drain runs the events that wait.
func (h *history) drain() {
	for {
		h.peers.flush()
		e, ok := h.queue.next()
		if !ok {
			return
		}
		fmt.Fprintf(&h.out, "event %s\n", e.name)
		if err := e.run(context.Background()); err != nil {
			fmt.Fprintf(&h.out, "error: %v\n", err)
		}
	}
}

func (h *history) command(t *testing.T, d *datadriven.TestData) error {
	switch d.Cmd {
	case "failover": // epoch=N [keep-topics] [unclean]
		var epoch int
		d.ScanArgs(t, "epoch", &epoch)
		return h.begin(int32(epoch), d.HasArg("keep-topics"), d.HasArg("unclean"))
	case "register": // id=N... [rack=NAME] [port=N]
		return h.register(t, d)
	case "die": // id=N
		var id int
		d.ScanArgs(t, "id", &id)
		return h.zk.write(&write{kind: deleteNode, path: zkutil.BrokerPath(int32(id)), version: -1}).err
	case "vanish", "answer-again": // id=N [moved=PORT]: its process is gone from where it was, or there after all; its registration stays
		return h.vanish(t, d)
	case "bounce", "die-together": // id=(N,...): the controller looks only afterwards
		h.bounce(d)
	case "controlled-shutdown": // id=N [epoch=N]
		return h.controlledShutdown(t, d)
	case "alter": // see there
		return h.alter(t, d)
	case "topic": // NAME [no-id]; lines: partition: replicas
		return h.putTopic(d, createNode)
	case "grow": // as topic
		return h.putTopic(d, setNode)
	case "delete-topic": // NAME
		return h.zk.write(&write{kind: createNode, path: zkutil.DeleteTopicPath(d.CmdArgs[0].Key)}).err
	case "create", "set", "delete": // PATH; data
		return h.writeNode(d)
	case "answer": // BROKER... [PARTITION=CODE...]
		return h.answer(d)
	case "interfere": // PATH; data: somebody else sets it just before the controller writes to it
		h.interfere(d.CmdArgs[0].Key, d.Input)
	case "reassign": // lines: PARTITION: replicas, or PARTITION: cancel
		return h.reassign(d)
	case "moves": // [PARTITION...]: without any, all
		h.moves(d)
	case "isr": // PARTITION to=(ids): its leader changes it, and tells of it
		return h.changeISR(d)
	case "unclean-allowed": // TOPIC
		h.UncleanElectionAllowed(d.CmdArgs[0].Key)
	case "unclean-allowed-by-default":
		h.unclean = true
		h.UncleanElectionAllowedByDefault()
	case "elect": // preferred or unclean; lines: PARTITION
		return h.elect(t, d)
	case "producer-ids": // broker=N epoch=N
		h.allocate(t, d)
	case "update-features": // [dry]; lines: NAME level=N type=N
		return h.updateFeatures(t, d)
	case "rebalance": // percentage=N
		var percentage int
		d.ScanArgs(t, "percentage", &percentage)
		return h.term.core.rebalance(context.Background(), percentage)
	case "depose": // another broker becomes controller
		h.zk.epoch++
	case "znodes": // PATH
		fmt.Fprintln(&h.out, strings.Join(h.zk.sortedNodes(d.CmdArgs[0].Key), "\n"))
	case "states":
		h.states()
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	return nil
}

func (h *history) register(t *testing.T, d *datadriven.TestData) error {
	rack, port := "", 9092
	d.MaybeScanArgs(t, "rack", &rack)
	d.MaybeScanArgs(t, "port", &port)
	for _, id := range d.CmdArgs[0].Vals {
		n, err := strconv.Atoi(id)
		if err != nil {
			return err
		}
		b := zkutil.Broker{ID: int32(n), Rack: rack, JMXPort: -1, Endpoints: []zkutil.Endpoint{
			{Listener: "PLAINTEXT", Host: "b" + id, Port: int32(port), SecurityProtocol: "PLAINTEXT"}}}
		path := zkutil.BrokerPath(b.ID)
		kind := createNode
		if d.HasArg("again") { // same session, other contents
			kind = setNode
		}
		if o := h.zk.write(&write{kind: kind, path: path, data: b.Encode(), version: -1}); o.err != nil {
			return o.err
		}
	}
	return nil
}

func (h *history) vanish(t *testing.T, d *datadriven.TestData) error {
	var id int
	d.ScanArgs(t, "id", &id)
	if d.HasArg("moved") {
		var port string
		d.ScanArgs(t, "moved", &port)
		path := zkutil.BrokerPath(int32(id))
		moved := strings.ReplaceAll(string(h.zk.nodes[path].data), "9092", port)
		h.zk.write(&write{kind: setNode, path: path, data: []byte(moved), version: -1})
	}
	h.gone[int32(id)] = d.Cmd == "vanish"
	return h.term.core.processChange(context.Background(), int32(id))
}

func (h *history) bounce(d *datadriven.TestData) {
	for _, id := range d.CmdArgs[0].Vals {
		path := zkutil.Join(zkutil.BrokerIDsPath, id)
		data := h.zk.nodes[path].data
		h.zk.write(&write{kind: deleteNode, path: path, version: -1})
		if d.Cmd == "bounce" {
			h.zk.write(&write{kind: createNode, path: path, data: data})
		}
	}
}

func (h *history) controlledShutdown(t *testing.T, d *datadriven.TestData) error {
	id, epoch := 0, -1
	d.ScanArgs(t, "id", &id)
	d.MaybeScanArgs(t, "epoch", &epoch)
	remaining, err := h.term.core.controlledShutdown(context.Background(), int32(id), int64(epoch))
	if err == nil {
		fmt.Fprintf(&h.out, "still leads %v\n", remaining)
	}
	return err
}

func (h *history) writeNode(d *datadriven.TestData) error {
	kind := map[string]writeKind{"create": createNode, "set": setNode, "delete": deleteNode}[d.Cmd]
	w := write{kind: kind, path: d.CmdArgs[0].Key, version: -1}
	if d.Input != "" {
		w.data = []byte(d.Input)
	}
	return h.zk.write(&w).err
}

func (h *history) putTopic(d *datadriven.TestData, kind writeKind) error {
	name := d.CmdArgs[0].Key
	node := zkutil.Topic{Name: name, Partitions: map[int32]zkutil.Assignment{}}
	if !d.HasArg("no-id") {
		copy(node.ID[1:], name)
		node.ID[0] = 1
		h.ids[name] = node.ID
	}
	for line := range strings.Lines(d.Input) {
		index, list, _ := strings.Cut(strings.TrimSpace(line), ":")
		p, err := strconv.Atoi(index)
		if err != nil {
			return err
		}
		var a zkutil.Assignment
		for id := range strings.SplitSeq(list, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(id))
			if err != nil {
				return err
			}
			a.Replicas = append(a.Replicas, int32(n))
		}
		node.Partitions[int32(p)] = a
	}
	return h.zk.write(&write{kind: kind, path: zkutil.TopicPath(name), data: node.Encode(), version: -1}).err
}

func (h *history) answer(d *datadriven.TestData) error {
	errs := map[string]int16{}
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) > 0 {
			code, err := strconv.ParseInt(arg.Vals[0], 10, 16)
			if err != nil {
				return err
			}
			errs[arg.Key] = int16(code)
		}
	}
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) > 0 {
			continue
		}
		id, err := strconv.Atoi(arg.Key)
		if err != nil {
			return err
		}
		reqs, resps := h.peers.answers(int32(id), h.ids, errs)
		for i := range reqs {
			h.answered(h.term, int32(id), reqs[i], resps[i])
		}
	}
	return nil
}

func (h *history) interfere(path, data string) {
	h.zk.before = func(w *write) {
		if w.path == path {
			h.zk.before = func(*write) {}
			other := &write{kind: setNode, path: path, data: []byte(data), version: -1}
			if h.zk.nodes[path] == nil {
				h.zk.write(&write{kind: createNode, path: path[:strings.LastIndexByte(path, '/')], version: -1})
				other.kind = createNode
			}
			h.zk.write(other)
		}
	}
}

func (h *history) states() {
	for _, tp := range h.term.core.sortedTopics() {
		for _, p := range tp.partitions {
			fmt.Fprintf(&h.out, "%s %s", p.Partition, p.state)
			for _, r := range slices.SortedFunc(slices.Values(p.states), func(a, b replicaAt) int { return int(a.broker - b.broker) }) {
				fmt.Fprintf(&h.out, " %d:%s", r.broker, r.state)
			}
			if tp.queued {
				fmt.Fprintf(&h.out, " (queued, started %v, ineligible %v)", tp.started, tp.ineligible)
			}
			fmt.Fprintln(&h.out)
		}
	}
}

// warnings writes warnings and errors among what the controller does.
type warnings struct{ out *strings.Builder }

func (w warnings) Levels() []logrus.Level {
	return []logrus.Level{logrus.WarnLevel, logrus.ErrorLevel}
}

func (w warnings) Fire(e *logrus.Entry) error {
	fmt.Fprintf(w.out, "log %s: %s", e.Level, e.Message)
	for _, key := range slices.Sorted(maps.Keys(e.Data)) {
		if key != "count" {
			fmt.Fprintf(w.out, " %s=%v", key, e.Data[key])
		}
	}
	fmt.Fprintln(w.out)
	return nil
}

// TestTopicsGetIDs checks that topics of brokers before Kafka 2.8 get an id, and keep what they have.
func TestTopicsGetIDs(t *testing.T) {
	h := newHistory()
	h.zk.write(&write{kind: createNode, path: zkutil.TopicPath("old"), data: []byte(`{"version":1,"partitions":{"0":[1,2]}}`)})
	if err := h.begin(1, false, false); err != nil {
		t.Fatal(err)
	}
	node := h.zk.nodes[zkutil.TopicPath("old")]
	got, err := zkutil.DecodeTopic("old", node.data, node.stat)
	if err != nil || got.ID.IsZero() || len(got.Partitions) != 1 || !slices.Equal(got.Partitions[0].Replicas, []int32{1, 2}) {
		t.Errorf("topic node = %s (%v)", node.data, err)
	}
	if h.term.core.names[got.ID] == nil || got.ID == (topic.ID{}) {
		t.Error("the controller does not know the id that it has given")
	}
}
