package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// walkRequest is a request of the walk.
type walkRequest struct {
	what    string
	version int16
	conn    string // the name of the connection that it goes on
	actor   *actor // who learns from the answer
	mayWait bool   // it need not be answered soon
	null    bool   // null stands where nullMark is
	build   func(id func(string) string) kmsg.Request
}

func (q *walkRequest) text() string {
	b, _ := json.Marshal(q.build(func(s string) string { return s }))
	return fmt.Sprintf("%s v%d null=%t %.1000s", q.what, q.version, q.null, b)
}

// subscription is the metadata of a consumer that subscribes to topics.
func subscription(topics ...string) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = append(append(b, 0, byte(len(t))), t...)
	}
	return append(b, 0xff, 0xff, 0xff, 0xff)
}

// pick returns one of list.
func pick[T any](w *groupWalk, list ...T) T { return list[w.rng.IntN(len(list))] }

// rarely is true once in n times.
func (w *groupWalk) rarely(n int) bool { return w.rng.IntN(n) == 0 }

// next makes the next request: what a member would do now, more often than not.
func (w *groupWalk) next() *walkRequest {
	a := pick(w, w.actors...)
	kinds := []func(*actor) *walkRequest{
		w.join, w.join, w.join, w.sync, w.sync, w.heartbeat, w.leave, w.commit, w.commit, w.fetch, w.fetch,
		w.deleteOffsets, w.delete, w.describe, w.list,
	}
	switch {
	case w.state == "PreparingRebalance" && w.rarely(2):
		kinds = kinds[:3]
	case w.state == "CompletingRebalance" && w.rarely(2):
		kinds = kinds[3:5]
	}
	q := pick(w, kinds...)(a)
	q.actor = a
	q.conn = w.connection(a)
	if q.null {
		q.conn = fmt.Sprintf("%s-null-%d", a.name, w.step) // it will be closed
	}
	w.byStep[w.step] = a
	return q
}

// connection returns the connection that an actor sends its next request on: mostly one without requests that wait.
func (w *groupWalk) connection(a *actor) string {
	if a.conn == "" || w.sides[0].waiting(a.conn) && !w.rarely(4) || w.rarely(20) {
		a.conns++
		a.conn = fmt.Sprintf("%s-%d", a.name, a.conns)
	}
	return a.conn
}

// groupID is the group of the episode, or something that no group should be called.
func (w *groupWalk) groupID() string {
	if w.rarely(25) {
		return pick(w, "", "nobodys-"+w.group, w.group+strings.Repeat("g", 32767-len(w.group)), w.group+"\x00", w.group+" späť 𝄞")
	}
	return w.group
}

// member is the id of a, or somebody else's.
func (w *groupWalk) member(a *actor) string {
	if w.rarely(8) {
		return pick(w, "", "nobody", pick(w, w.actors...).id, strings.Repeat("m", 32767))
	}
	return a.id
}

// instance is the instance id of a, or somebody else's.
func (w *groupWalk) instance(a *actor) *string {
	if w.rarely(12) {
		return pick(w, nil, ptr(""), ptr("inst-nobody"), pick(w, w.actors...).instance)
	}
	return a.instance
}

func (w *groupWalk) generation(a *actor) int32 {
	if w.rarely(8) {
		return pick(w, -1, 0, a.generation+1, a.generation-1, math.MaxInt32, math.MinInt32)
	}
	return a.generation
}

func (w *groupWalk) join(a *actor) *walkRequest {
	q := &walkRequest{what: "JoinGroup", version: int16(w.rng.IntN(10)), mayWait: true}
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.ProtocolType = w.groupID(), "consumer"
	member := w.member(a)
	r.InstanceID = w.instance(a)
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 1_800_000, 300_000
	if w.rarely(12) {
		r.SessionTimeoutMillis = pick[int32](w, 5_999, 1_800_001, 0, -1, math.MinInt32, math.MaxInt32)
	}
	if w.rarely(20) {
		r.RebalanceTimeoutMillis = pick[int32](w, 0, -1, math.MinInt32, math.MaxInt32)
		w.hasty = true
	}
	if w.rarely(15) {
		r.ProtocolType = pick(w, "", "connect", "Consumer")
	}
	protocols, metadata := a.protocols, a.topics
	if w.rarely(8) {
		protocols = pick(w, nil, []string{"range"}, []string{"sticky"}, []string{""}, []string{"range", ""}, []string{"other"})
		if w.rarely(2) {
			a.protocols = protocols
		}
	}
	if w.rarely(10) {
		metadata = pick(w, nil, []byte{0, 0, 1}, subscription(), subscription("orders", "bills"), subscription("bills"))
		if w.rarely(2) {
			a.topics = metadata
		}
	}
	if w.rarely(40) {
		q.null = true
		*pick(w, &r.Group, &member, &r.ProtocolType) = nullMark
	} else if w.rarely(40) {
		q.null, metadata = true, []byte(nullMark)
	}
	for _, name := range protocols {
		r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: metadata})
	}
	q.build = func(id func(string) string) kmsg.Request {
		c := *r
		c.MemberID = id(member)
		return &c
	}
	return q
}

func (w *groupWalk) sync(a *actor) *walkRequest {
	q := &walkRequest{what: "SyncGroup", version: int16(w.rng.IntN(6)), mayWait: true}
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.Generation, r.InstanceID = w.groupID(), w.generation(a), w.instance(a)
	r.ProtocolType, r.Protocol = ptr("consumer"), ptr("range")
	if w.rarely(12) {
		r.ProtocolType = pick(w, nil, ptr(""), ptr("connect"))
	}
	if w.rarely(12) {
		r.Protocol = pick(w, nil, ptr(""), ptr("sticky"))
	}
	member := w.member(a)
	var to []string
	if a.leads || w.rarely(10) {
		if to = slices.Clone(a.members); len(to) > 0 && w.rarely(6) {
			to = to[1:]
		}
		if w.rarely(10) {
			to = append(to, "nobody", a.id)
		}
	}
	assignment := fmt.Appendf(nil, "assigned in step %d", w.step)
	if w.rarely(40) {
		q.null = true
		if to = append(to, "nobody"); w.rarely(2) {
			assignment = []byte(nullMark)
		} else {
			*pick(w, &r.Group, &member) = nullMark
		}
	}
	q.build = func(id func(string) string) kmsg.Request {
		c := *r
		c.MemberID = id(member)
		for _, m := range to {
			c.GroupAssignment = append(c.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id(m), MemberAssignment: assignment})
		}
		return &c
	}
	return q
}

func (w *groupWalk) heartbeat(a *actor) *walkRequest {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.Generation, r.InstanceID = w.groupID(), w.generation(a), w.instance(a)
	member := w.member(a)
	return &walkRequest{what: "Heartbeat", version: int16(w.rng.IntN(5)), build: func(id func(string) string) kmsg.Request {
		c := *r
		c.MemberID = id(member)
		return &c
	}}
}

func (w *groupWalk) leave(a *actor) *walkRequest {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group = w.groupID()
	version := int16(w.rng.IntN(6))
	who := []*actor{a}
	if version >= 3 {
		for w.rarely(3) {
			who = append(who, pick(w, w.actors...))
		}
		if w.rarely(15) {
			who = nil
		}
	}
	type identity struct {
		member   string
		instance *string
	}
	var members []identity
	for _, a := range who {
		m := identity{w.member(a), w.instance(a)}
		if m.instance != nil && w.rarely(3) {
			m.member = "" // by an administrator
		}
		members = append(members, m)
	}
	return &walkRequest{what: "LeaveGroup", version: version, build: func(id func(string) string) kmsg.Request {
		c := *r
		for _, m := range members {
			c.MemberID = id(m.member)
			out := kmsg.NewLeaveGroupRequestMember()
			out.MemberID, out.InstanceID = id(m.member), m.instance
			c.Members = append(c.Members, out)
		}
		return &c
	}}
}
