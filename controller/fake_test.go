package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

// fakeZooKeeper is a tree of znodes in memory that writes down what the controller writes.
type fakeZooKeeper struct {
	nodes    map[string]*fakeNode
	zxid     int64
	epoch    int32           // data version of /controller_epoch
	data     map[string]bool // nodes whose data are watched
	children map[string]bool // nodes whose list of children is watched
	fired    func(zkutil.Event)
	out      *strings.Builder
	before   func(w *write) // called before each write of the controller
	// recording is called before a write is written down.
	recording func()
}

type fakeNode struct {
	data []byte
	stat zkutil.Stat
}

func newFakeZooKeeper(out *strings.Builder) *fakeZooKeeper {
	z := &fakeZooKeeper{nodes: map[string]*fakeNode{}, data: map[string]bool{}, children: map[string]bool{}, out: out, before: func(*write) {}}
	for _, p := range []string{"/", "/brokers", zkutil.BrokerIDsPath, zkutil.TopicsPath, "/admin", zkutil.DeleteTopicsPath,
		zkutil.ISRChangesPath, zkutil.LogDirEventsPath, "/config", "/config/topics"} {
		z.nodes[p] = &fakeNode{}
	}
	return z
}

func (z *fakeZooKeeper) Get(ctx context.Context, watch bool, paths ...string) ([]znode, error) {
	nodes := make([]znode, len(paths))
	for i, p := range paths {
		n := z.nodes[p]
		if n == nil {
			nodes[i].err = zkutil.ErrNoNode
			continue
		}
		nodes[i] = znode{data: n.data, stat: n.stat}
		if watch {
			z.data[p] = true
		}
	}
	return nodes, ctx.Err()
}

func (z *fakeZooKeeper) Await(ctx context.Context, path string) (znode, error) {
	z.data[path] = true // of a node that does not exist, too
	nodes, err := z.Get(ctx, false, path)
	return nodes[0], err
}

func (z *fakeZooKeeper) Children(ctx context.Context, watch bool, parent string) ([]string, error) {
	if z.nodes[parent] == nil {
		return nil, ctx.Err()
	}
	if watch {
		z.children[parent] = true
	}
	return z.childrenOf(parent), ctx.Err()
}

func (z *fakeZooKeeper) childrenOf(parent string) (names []string) {
	for p := range z.nodes {
		if name, ok := strings.CutPrefix(p, parent+"/"); ok && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (z *fakeZooKeeper) Write(ctx context.Context, f zkutil.Fence, groups [][]write) ([][]outcome, error) {
	outcomes := make([][]outcome, len(groups))
	for i, group := range groups {
		outcomes[i] = make([]outcome, len(group))
		for j := range group {
			z.before(&group[j])
			if f.Version != z.epoch {
				fmt.Fprintln(z.out, "moved")
				return nil, ErrMoved
			}
			outcomes[i][j] = z.write(&group[j])
			z.record(&group[j], outcomes[i][j])
		}
	}
	return outcomes, ctx.Err()
}

// record writes down w as a line.
func (z *fakeZooKeeper) record(w *write, o outcome) {
	z.recording()
	fmt.Fprintf(z.out, "%s %s", [...]string{"create", "set", "delete"}[w.kind], w.path)
	switch {
	case o.err != nil:
		fmt.Fprintf(z.out, ": %v", o.err)
	case w.kind == createNode && w.data == nil:
		fmt.Fprint(z.out, " null")
	case w.kind != deleteNode:
		fmt.Fprintf(z.out, " %s", w.data)
	}
	if w.kind == setNode && o.err == nil {
		fmt.Fprintf(z.out, " version %d", o.version)
	}
	fmt.Fprintln(z.out)
}

// write does w as ZooKeeper does, and fires watches.
func (z *fakeZooKeeper) write(w *write) outcome {
	n, parent := z.nodes[w.path], path.Dir(w.path)
	switch {
	case w.kind == createNode && n != nil:
		return outcome{err: zkutil.ErrNodeExists}
	case w.kind == createNode && z.nodes[parent] == nil, w.kind != createNode && n == nil:
		return outcome{err: zkutil.ErrNoNode}
	case w.kind != createNode && w.version != zkutil.AnyVersion && w.version != n.stat.Version:
		return outcome{err: zkutil.ErrBadVersion}
	case w.kind == deleteNode && len(z.childrenOf(w.path)) > 0:
		return outcome{err: zkutil.ErrNotEmpty}
	}
	z.zxid++
	switch w.kind {
	case createNode:
		z.nodes[w.path] = &fakeNode{data: w.data, stat: zkutil.Stat{Czxid: z.zxid}}
		z.fire(z.data, w.path, zkutil.Created)
		z.fire(z.children, parent, zkutil.ChildrenChanged)
		return outcome{}
	case setNode:
		n.data = w.data
		n.stat.Version++
		z.fire(z.data, w.path, zkutil.DataChanged)
		return outcome{version: n.stat.Version}
	}
	delete(z.nodes, w.path)
	z.fire(z.data, w.path, zkutil.Deleted)
	z.fire(z.children, parent, zkutil.ChildrenChanged)
	return outcome{}
}

func (z *fakeZooKeeper) fire(watches map[string]bool, p string, t zkutil.EventType) {
	if watches[p] {
		delete(watches, p)
		z.fired(zkutil.Event{Type: t, Path: p})
	}
}

// fakeLookout are the brokers whose process is gone.
type fakeLookout map[int32]bool

func (l fakeLookout) Watch(brokers []*zkutil.Broker) {
	for id := range l { // a broker that registers anew is another process
		if !slices.ContainsFunc(brokers, func(b *zkutil.Broker) bool { return b.ID == id }) {
			delete(l, id)
		}
	}
}

func (l fakeLookout) Gone(b *zkutil.Broker) bool { return l[b.ID] }

// fakePeers takes requests and writes them down.
type fakePeers struct {
	out     *strings.Builder
	pending map[int32][]kmsg.Request // by broker with a channel; not answered yet
	last    string                   // last UpdateMetadata request, with its recipients
	to      []int32
}

func (p *fakePeers) Add(b *zkutil.Broker) {
	if p.pending[b.ID] == nil {
		p.pending[b.ID] = []kmsg.Request{}
	}
}

func (p *fakePeers) Remove(broker int32) { delete(p.pending, broker) }

func (p *fakePeers) Send(broker int32, req kmsg.Request) {
	if p.pending[broker] == nil {
		return
	}
	p.pending[broker] = append(p.pending[broker], req)
	line := describe(req)
	if line == p.last && !slices.Contains(p.to, broker) {
		p.to = append(p.to, broker)
		return
	}
	p.flush()
	p.last, p.to = line, []int32{broker}
}

// flush writes the last request, once for all brokers that got it.
func (p *fakePeers) flush() {
	if p.last != "" {
		fmt.Fprintf(p.out, "-> %s %s\n", ids(p.to), p.last)
		p.last = ""
	}
}

func ids(list []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

// describe says on a few lines what a request is about.
func describe(req kmsg.Request) string {
	var b strings.Builder
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		leaders := make([]int32, len(req.LiveLeaders))
		for i, l := range req.LiveLeaders {
			leaders[i] = l.BrokerID
		}
		fmt.Fprintf(&b, "LeaderAndIsr broker epoch %d, leaders %s", req.BrokerEpoch, ids(leaders))
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, "\n     %s-%d leader %d epoch %d isr %s version %d replicas %s by %d", t.Topic, p.Partition,
					p.Leader, p.LeaderEpoch, ids(p.ISR), p.ZKVersion, ids(p.Replicas), p.ControllerEpoch)
				if len(p.AddingReplicas) > 0 {
					fmt.Fprintf(&b, " adding %s", ids(p.AddingReplicas))
				}
				if len(p.RemovingReplicas) > 0 {
					fmt.Fprintf(&b, " removing %s", ids(p.RemovingReplicas))
				}
				if p.IsNew {
					b.WriteString(" new")
				}
				if p.LeaderRecoveryState == 1 {
					b.WriteString(" recovering")
				}
			}
		}
	case *kmsg.UpdateMetadataRequest:
		live := make([]int32, len(req.LiveBrokers))
		for i, l := range req.LiveBrokers {
			live[i] = l.ID
		}
		fmt.Fprintf(&b, "UpdateMetadata live %s", ids(live))
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, "\n     %s-%d leader %d epoch %d isr %s version %d", t.Topic, p.Partition, p.Leader, p.LeaderEpoch, ids(p.ISR), p.ZKVersion)
				if len(p.OfflineReplicas) > 0 {
					fmt.Fprintf(&b, " offline %s", ids(p.OfflineReplicas))
				}
			}
		}
	case *kmsg.StopReplicaRequest:
		fmt.Fprintf(&b, "StopReplica broker epoch %d", req.BrokerEpoch)
		for _, t := range req.Topics {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, "\n     %s-%d epoch %d", t.Topic, p.Partition, p.LeaderEpoch)
				if p.Delete {
					b.WriteString(" delete")
				}
			}
		}
	}
	return b.String()
}

// answers returns the responses to what a broker has not answered yet, each partition with the code
// that errs gives it.
func (p *fakePeers) answers(broker int32, names map[string][16]byte, errs map[string]int16) (reqs []kmsg.Request, resps []kmsg.Response) {
	for _, req := range p.pending[broker] {
		resp := req.ResponseKind()
		switch req := req.(type) {
		case *kmsg.LeaderAndISRRequest:
			for _, t := range req.TopicStates {
				topic := kmsg.LeaderAndISRResponseTopic{TopicID: names[t.Topic]}
				for _, s := range t.PartitionStates {
					topic.Partitions = append(topic.Partitions, kmsg.LeaderAndISRResponseTopicPartition{
						Partition: s.Partition, ErrorCode: errs[fmt.Sprintf("%s-%d", t.Topic, s.Partition)]})
				}
				r := resp.(*kmsg.LeaderAndISRResponse)
				r.Topics = append(r.Topics, topic)
			}
		case *kmsg.StopReplicaRequest:
			for _, t := range req.Topics {
				for _, s := range t.PartitionStates {
					r := resp.(*kmsg.StopReplicaResponse)
					r.Partitions = append(r.Partitions, kmsg.StopReplicaResponsePartition{
						Topic: t.Topic, Partition: s.Partition, ErrorCode: errs[fmt.Sprintf("%s-%d", t.Topic, s.Partition)]})
				}
			}
		}
		reqs, resps = append(reqs, req), append(resps, resp)
	}
	p.pending[broker] = p.pending[broker][:0]
	return reqs, resps
}

// sortedNodes returns the paths below root, with their data.
func (z *fakeZooKeeper) sortedNodes(root string) (lines []string) {
	for _, p := range slices.SortedFunc(maps.Keys(z.nodes), cmp.Compare[string]) {
		if p == root || strings.HasPrefix(p, strings.TrimSuffix(root, "/")+"/") {
			lines = append(lines, strings.TrimSpace(p+" "+string(z.nodes[p].data)))
		}
	}
	return lines
}
