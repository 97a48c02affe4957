package conformance

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// walkPartition is a partition that is asked about, which need not exist.
type walkPartition struct {
	topic     string
	partition int32
}

// partitions returns different partitions.
func (w *groupWalk) partitions() (list []walkPartition) {
	for {
		p := walkPartition{pick(w, "orders", "orders", "bills"), int32(w.rng.IntN(2))}
		if w.rarely(12) {
			p = pick(w, walkPartition{"nope", 0}, walkPartition{"orders", 7}, walkPartition{"orders", -1}, walkPartition{"", 0})
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
		if !w.rarely(2) {
			slices.SortStableFunc(list, func(a, b walkPartition) int { return strings.Compare(a.topic, b.topic) })
			return list
		}
	}
}

func (w *groupWalk) commit(a *actor) *walkRequest {
	q := &walkRequest{what: "OffsetCommit", version: int16(w.rng.IntN(10))}
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.Generation, r.InstanceID = w.groupID(), w.generation(a), w.instance(a)
	r.RetentionTimeMillis = pick[int64](w, -1, -1, 600_000)
	member := w.member(a)
	if w.rarely(4) {
		r.Generation, member, r.InstanceID = -1, "", nil
	}
	for _, p := range w.partitions() {
		out := kmsg.NewOffsetCommitRequestTopicPartition()
		out.Partition, out.Offset, out.LeaderEpoch = p.partition, int64(w.step), pick[int32](w, -1, 0, 5)
		out.Metadata = pick(w, nil, ptr(""), ptr("note"))
		if w.rarely(10) {
			out.Metadata = pick(w, ptr(strings.Repeat("é", 4096)), ptr(strings.Repeat("é", 4097)))
		}
		if w.rarely(10) {
			out.Offset = pick[int64](w, -1, -5, 1<<62)
		}
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != p.topic {
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = p.topic
			r.Topics = append(r.Topics, t)
		}
		t := &r.Topics[len(r.Topics)-1]
		t.Partitions = append(t.Partitions, out)
	}
	q.build = func(id func(string) string) kmsg.Request {
		c := *r
		c.MemberID = id(member)
		return &c
	}
	return q
}

func (w *groupWalk) fetch(a *actor) *walkRequest {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group, r.RequireStable = w.groupID(), w.rarely(2)
	version := int16(w.rng.IntN(10))
	all := w.rarely(3) && version >= 2
	if !all {
		r.Topics = []kmsg.OffsetFetchRequestTopic{}
		for _, p := range w.partitions() {
			if n := len(r.Topics); n > 0 && r.Topics[n-1].Topic == p.topic {
				r.Topics[n-1].Partitions = append(r.Topics[n-1].Partitions, p.partition)
				continue
			}
			r.Topics = append(r.Topics, kmsg.OffsetFetchRequestTopic{Topic: p.topic, Partitions: []int32{p.partition}})
		}
	}
	for range 1 + w.rng.IntN(2) { // of none, Kafka forgets to answer
		g := kmsg.NewOffsetFetchRequestGroup()
		if g.Group = w.groupID(); !all {
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
			for _, t := range r.Topics {
				g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
			}
		}
		r.Groups = append(r.Groups, g)
	}
	return &walkRequest{what: "OffsetFetch", version: version, build: func(func(string) string) kmsg.Request { return r }}
}

func (w *groupWalk) deleteOffsets(*actor) *walkRequest {
	r := kmsg.NewPtrOffsetDeleteRequest()
	r.Group = w.groupID()
	for _, p := range w.partitions() {
		out := kmsg.NewOffsetDeleteRequestTopicPartition()
		out.Partition = p.partition
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != p.topic {
			r.Topics = append(r.Topics, kmsg.OffsetDeleteRequestTopic{Topic: p.topic})
		}
		t := &r.Topics[len(r.Topics)-1]
		t.Partitions = append(t.Partitions, out)
	}
	if w.rarely(10) {
		r.Topics = nil
	}
	return &walkRequest{what: "OffsetDelete", version: 0, build: func(func(string) string) kmsg.Request { return r }}
}

func (w *groupWalk) delete(*actor) *walkRequest {
	r := kmsg.NewPtrDeleteGroupsRequest()
	for range w.rng.IntN(3) {
		r.Groups = append(r.Groups, w.groupID())
	}
	return &walkRequest{what: "DeleteGroups", version: int16(w.rng.IntN(3)), build: func(func(string) string) kmsg.Request { return r }}
}

func (w *groupWalk) describe(*actor) *walkRequest {
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.IncludeAuthorizedOperations = w.rarely(2)
	for range w.rng.IntN(3) {
		r.Groups = append(r.Groups, w.groupID())
	}
	return &walkRequest{what: "DescribeGroups", version: int16(w.rng.IntN(6)), build: func(func(string) string) kmsg.Request { return r }}
}

func (w *groupWalk) list(*actor) *walkRequest {
	r := kmsg.NewPtrListGroupsRequest()
	r.StatesFilter = pick(w, nil, nil, []string{"Stable"}, []string{"sTABLE", "empty"}, []string{"nonsense"}, []string{""})
	r.TypesFilter = pick(w, nil, nil, []string{"classic"}, []string{"Consumer"}, []string{"CLASSIC", "share"}, []string{"nonsense"}, []string{""})
	return &walkRequest{what: "ListGroups", version: int16(w.rng.IntN(6)), build: func(func(string) string) kmsg.Request { return r }}
}
