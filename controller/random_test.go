package controller

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// TestRandomHistories lets brokers, leaders, clients and controllers come, go and act at random, and checks
// after every step what must hold in ZooKeeper; at the end, with all brokers alive and answering, that
// every partition is led, that brokers were told the truth last, and that what was to be deleted is gone.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(100) {
		w := newWorld(t, seed)
		for range 60 {
			w.step()
			w.check()
		}
		w.settle()
	}
}

// world is a history that happens by chance.
type world struct {
	*history
	t       *testing.T
	seed    uint64
	r       *rand.Rand
	epoch   int32
	names   int
	last    map[string]leadership // by path of the state znode
	told    map[int32]map[topic.Partition]int32
	deleted map[string]bool
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{history: newHistory(), t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 2)),
		last: map[string]leadership{}, told: map[int32]map[topic.Partition]int32{}, deleted: map[string]bool{}}
	w.zk.before = w.race
	w.failover()
	return w
}

// race is a leader that shrinks its ISR just before the controller writes.
func (w *world) race(wr *write) {
	if wr.kind != setNode || !strings.HasSuffix(wr.path, "/state") || w.r.IntN(8) > 0 {
		return
	}
	n := w.zk.nodes[wr.path]
	if l := decodeState(&znode{data: n.data, stat: n.stat}); l.Leader >= 0 {
		l.ISR = []int32{l.Leader}
		w.zk.write(&write{kind: setNode, path: wr.path, data: l.encode(), version: -1})
	}
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s\n%s", w.seed, fmt.Sprintf(format, args...), w.out.String())
}

func (w *world) failover() {
	w.epoch++
	w.told = map[int32]map[topic.Partition]int32{}
	if err := w.begin(w.epoch, false, w.r.IntN(4) == 0); err != nil {
		w.fatalf("failover: %v", err)
	}
	w.drain()
}

// do makes one change and lets the controller react to it, or not yet.
func (w *world) do(kind writeKind, path string, data []byte) {
	w.zk.write(&write{kind: kind, path: path, data: data, version: -1})
	if w.r.IntN(4) > 0 {
		w.drain()
	}
}

func (w *world) step() {
	id := int32(1 + w.r.IntN(4))
	alive := w.zk.nodes[zkutil.BrokerPath(id)] != nil
	if w.r.IntN(8) == 0 {
		w.electAny()
		return
	}
	switch w.r.IntN(15) {
	case 0, 1, 2:
		if alive {
			w.do(deleteNode, zkutil.BrokerPath(id), nil)
		} else {
			w.start(id)
		}
	case 3:
		if alive { // between two looks of the controller
			w.zk.write(&write{kind: deleteNode, path: zkutil.BrokerPath(id), version: -1})
			w.start(id)
		}
	case 4, 5:
		w.createTopic()
	case 6:
		if name := w.someTopic(); name != "" {
			node := w.topicNode(name)
			node.Partitions[int32(len(node.Partitions))] = w.assignment()
			w.do(setNode, zkutil.TopicPath(name), node.Encode())
		}
	case 7:
		if name := w.someTopic(); name != "" {
			w.deleted[name] = true
			w.do(createNode, zkutil.DeleteTopicPath(name), nil)
		}
	case 8:
		w.leaderActs()
	case 9, 10:
		w.answerAll(id, w.r.IntN(3) == 0)
	case 11:
		w.failover()
	case 12, 13:
		w.reassignSome(false)
	case 14:
		w.reassignSome(true)
	}
}

func (w *world) start(id int32) {
	b := zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: 1, SecurityProtocol: "PLAINTEXT"}}}
	w.do(createNode, zkutil.BrokerPath(id), b.Encode())
}

func (w *world) assignment() zkutil.Assignment {
	ids := []int32{1, 2, 3, 4}
	w.r.Shuffle(4, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return zkutil.Assignment{Replicas: ids[:1+w.r.IntN(3)]}
}

func (w *world) createTopic() {
	w.names++
	node := zkutil.Topic{Name: fmt.Sprint("t", w.names), Partitions: map[int32]zkutil.Assignment{}}
	copy(node.ID[:], node.Name)
	w.ids[node.Name] = node.ID
	for i := range 1 + w.r.IntN(3) {
		node.Partitions[int32(i)] = w.assignment()
	}
	w.do(createNode, zkutil.TopicPath(node.Name), node.Encode())
}

func (w *world) someTopic() string {
	names := w.zk.childrenOf(zkutil.TopicsPath)
	if len(names) == 0 {
		return ""
	}
	return names[w.r.IntN(len(names))]
}

func (w *world) topicNode(name string) *zkutil.Topic {
	n := w.zk.nodes[zkutil.TopicPath(name)]
	node, err := zkutil.DecodeTopic(name, n.data, n.stat)
	if err != nil {
		w.fatalf("%v", err)
	}
	return node
}

// leaderActs shrinks or grows an ISR as the leader of the partition would, and tells of it.
func (w *world) leaderActs() {
	states := w.states()
	paths := slices.Sorted(maps.Keys(states))
	if len(paths) == 0 {
		return
	}
	path := paths[w.r.IntN(len(paths))]
	l := states[path]
	name, index, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(path, zkutil.TopicsPath+"/"), "/state"), "/partitions/")
	var p topic.Partition
	p.Topic = name
	fmt.Sscan(index, &p.Index)
	node := w.topicNode(name)
	if l.Leader < 0 || w.zk.nodes[zkutil.BrokerPath(l.Leader)] == nil || w.deleted[name] {
		return
	}
	next := l
	next.ISR = keep(node.Partitions[p.Index].Replicas, func(id int32) bool {
		return id == l.Leader || w.zk.nodes[zkutil.BrokerPath(id)] != nil && w.r.IntN(2) == 0
	})
	next.Recovering = false
	if w.r.IntN(2) == 0 {
		w.ask(p, &next)
		return
	}
	w.zk.write(&write{kind: setNode, path: path, data: next.encode(), version: -1})
	w.names++
	w.do(createNode, fmt.Sprintf("%s/isr_change_%010d", zkutil.ISRChangesPath, w.names), zkutil.EncodeISRChange([]topic.Partition{p}))
}

// ask has the leader of p ask the controller for next, sometimes on what it knew a while ago. What it is told
// is done must be so in ZooKeeper.
func (w *world) ask(p topic.Partition, next *leadership) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID = int16(w.r.IntN(4)), next.Leader
	req.BrokerEpoch = w.zk.nodes[zkutil.BrokerPath(next.Leader)].stat.Czxid
	q := kmsg.NewAlterPartitionRequestTopicPartition()
	q.Partition, q.LeaderEpoch, q.PartitionEpoch, q.NewISR = p.Index, next.LeaderEpoch, next.Version, next.ISR
	if w.r.IntN(4) == 0 {
		q.PartitionEpoch -= int32(w.r.IntN(2))
		q.LeaderEpoch -= int32(w.r.IntN(2))
	}
	w.addAlteration(req, p, q)
	answers := 0
	w.AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) {
		answers++
		if resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			return
		}
		got := resp.Topics[0].Partitions[0]
		is := w.states()[zkutil.PartitionStatePath(p)]
		if is.Leader != got.LeaderID || is.LeaderEpoch != got.LeaderEpoch || is.Version != got.PartitionEpoch || !slices.Equal(is.ISR, got.ISR) {
			w.fatalf("leader %d is told that %s is %+v, in ZooKeeper it is %+v", next.Leader, p, got, is)
		}
	})
	w.drain()
	if answers != 1 {
		w.fatalf("AlterPartition was answered %d times", answers)
	}
}

// electAny asks for leaders, in any of the ways that there are. Who is said to lead must do so.
func (w *world) electAny() {
	var names []topic.Partition
	for _, t := range w.term.core.sortedTopics() {
		for _, p := range t.partitions {
			if w.r.IntN(2) == 0 {
				names = append(names, p.Partition)
			}
		}
	}
	switch w.r.IntN(4) {
	case 0:
		w.do(createNode, zkutil.PreferredElectionPath, zkutil.EncodePreferredElection(names))
	case 1:
		if err := w.term.core.rebalance(w.t.Context(), w.r.IntN(60)); err != nil {
			w.fatalf("rebalance: %v", err)
		}
	default:
		w.drain()
		kind := ElectionKind(w.r.IntN(2))
		before := w.states() // one that never had a leader gets its first, whoever lives
		outcomes, err := w.askElection(w.t.Context(), names, kind)
		if err != nil {
			w.fatalf("elect leaders: %v", err)
		}
		states := w.states()
		for i, o := range outcomes {
			l := states[zkutil.PartitionStatePath(names[i])]
			_, led := before[zkutil.PartitionStatePath(names[i])]
			if o.Err == nil && (l.Leader != o.Leader || kind == Preferred && led && o.Leader != w.topicNode(names[i].Topic).Partitions[names[i].Index].Replicas[0]) {
				w.fatalf("%s shall be led by %d now, in ZooKeeper it is %+v", names[i], o.Leader, l)
			}
		}
		w.drain()
	}
}

// answerAll answers what a broker was sent, some of it with a storage error.
func (w *world) answerAll(id int32, failing bool) {
	errs := map[string]int16{}
	for _, req := range w.peers.pending[id] {
		eachReplica(req, func(p topic.Partition) {
			if failing && w.r.IntN(4) == 0 {
				errs[p.String()] = 56
			}
		})
		w.tell(id, req)
		w.checkDeletes(id, req)
	}
	reqs, resps := w.peers.answers(id, w.ids, errs)
	for i := range reqs {
		w.answered(w.term, id, reqs[i], resps[i])
	}
	w.drain()
}

func (w *world) tell(id int32, req kmsg.Request) {
	lisr, ok := req.(*kmsg.LeaderAndISRRequest)
	if !ok {
		return
	}
	if w.told[id] == nil {
		w.told[id] = map[topic.Partition]int32{}
	}
	for _, t := range lisr.TopicStates {
		for _, p := range t.PartitionStates {
			name := topic.Partition{Topic: t.Topic, Index: p.Partition}
			if p.LeaderEpoch < w.told[id][name] {
				w.fatalf("broker %d is told leader epoch %d of %s after %d", id, p.LeaderEpoch, name, w.told[id][name])
			}
			w.told[id][name] = p.LeaderEpoch
		}
	}
}

// states returns the content of all state znodes by path.
func (w *world) states() map[string]leadership {
	found := map[string]leadership{}
	for path, n := range w.zk.nodes {
		if strings.HasSuffix(path, "/state") {
			l := decodeState(&znode{data: n.data, stat: n.stat})
			if l == nil {
				w.fatalf("%s cannot be read: %s", path, n.data)
			}
			found[path] = *l
		}
	}
	return found
}

// check checks what must hold at every moment.
func (w *world) check() {
	states := w.states()
	for path, l := range states {
		old, known := w.last[path]
		switch {
		case len(l.ISR) == 0:
			w.fatalf("%s has an empty ISR", path)
		case l.Leader >= 0 && !slices.Contains(l.ISR, l.Leader):
			w.fatalf("%s has leader %d, who is not in the ISR %v", path, l.Leader, l.ISR)
		case known && (l.LeaderEpoch < old.LeaderEpoch || l.ControllerEpoch < old.ControllerEpoch):
			w.fatalf("%s goes back from %+v to %+v", path, old, l)
		case known && l.Leader >= 0 && l.Leader != old.Leader && l.LeaderEpoch == old.LeaderEpoch:
			w.fatalf("%s changes its leader within epoch %d", path, l.LeaderEpoch)
		}
	}
	w.last = states
}

// settle brings all brokers to life, whose log directories are in order and who answer, until nothing
// happens any more.
func (w *world) settle() {
	w.drain()
	for id := int32(1); id <= 4; id++ {
		w.zk.write(&write{kind: deleteNode, path: zkutil.BrokerPath(id), version: -1})
		w.drain()
	}
	for id := int32(1); id <= 4; id++ {
		w.start(id)
	}
	w.drain()
	for range 20 {
		for id := int32(1); id <= 4; id++ {
			w.answerAll(id, false)
		}
	}
	w.finishReassignments()
	for range 20 {
		for id := int32(1); id <= 4; id++ {
			w.answerAll(id, false)
		}
	}
	for id, pending := range w.peers.pending {
		if len(pending) > 0 {
			w.fatalf("%d requests to broker %d are left", len(pending), id)
		}
	}
	w.check()
	for name := range w.deleted {
		if left := w.zk.sortedNodes(zkutil.TopicPath(name)); len(left) > 0 {
			w.fatalf("of the deleted topic %s is left %v", name, left)
		}
	}
	if left := w.zk.childrenOf(zkutil.DeleteTopicsPath); len(left) > 0 {
		w.fatalf("wishes to delete are left: %v", left)
	}
	if w.zk.nodes[zkutil.PreferredElectionPath] != nil {
		w.fatalf("the wish for preferred leaders is left")
	}
	states := w.states()
	for _, name := range w.zk.childrenOf(zkutil.TopicsPath) {
		for index, a := range w.topicNode(name).Partitions {
			w.checkLed(states, topic.Partition{Topic: name, Index: index}, a)
		}
	}
}

func (w *world) checkLed(states map[string]leadership, p topic.Partition, a zkutil.Assignment) {
	l, ok := states[zkutil.PartitionStatePath(p)]
	if !ok || l.Leader < 0 {
		w.fatalf("%s is not led though all brokers live: %+v", p, l)
	}
	if mine := w.term.core.partition(p); mine == nil || mine.state != onlinePartition || mine.leadership.Leader != l.Leader || mine.leadership.LeaderEpoch != l.LeaderEpoch {
		w.fatalf("%s is %+v for the controller, in ZooKeeper %+v", p, mine, l)
	}
	for _, id := range a.Replicas {
		if w.told[id][p] != l.LeaderEpoch {
			w.fatalf("broker %d knows leader epoch %d of %s, not %d", id, w.told[id][p], p, l.LeaderEpoch)
		}
	}
}
