package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// groupWorld is a cluster of two brokers on which the rows about groups are replayed, with a member of g1, which is
// stable once its SyncGroup is there.
type groupWorld struct {
	*world
	member string
}

// TestGroupErrors replays the part of the table of errors that is about groups.
func TestGroupErrors(t *testing.T) {
	t.Parallel()
	w := &groupWorld{world: &world{t: t, ids: map[string][16]byte{}}}
	w.c = start(t, 1, cluster.Props{
		"offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "4", "group.initial.rebalance.delay.ms": "0",
	})
	if onKafka() {
		w.c.AddKafka(nil)
	} else {
		w.c.Add(nil)
	}
	w.await("two brokers", func() bool { return len(w.metadata(12).Brokers) == 2 })
	w.create("e1", nil, []int32{1})
	rows := rowsGroups(w)
	for _, r := range readErrorsOf(t, "errors-groups.tsv") {
		build, ok := rows[r.id()]
		if !ok {
			t.Errorf("no request for %q (v%d)", r.id(), r.version)
			continue
		}
		c := build(w.world)
		if c.to == 0 {
			c.to = w.coordinator(groupOf(c.req))
		}
		w.replay(r, c, r.want.String())
	}
}

// coordinator returns the broker that coordinates a group.
func (w *groupWorld) coordinator(group string) (id int32) {
	w.t.Helper()
	w.await("the coordinator of group "+group, func() bool {
		resp := ask[*kmsg.FindCoordinatorResponse](w.t, w.addr(1), withVersion(findCoordinator(0, group), 4))
		if id = resp.Coordinators[0].NodeID; resp.Coordinators[0].ErrorCode != 0 {
			return false
		}
		list := ask[*kmsg.ListGroupsResponse](w.t, w.addr(id), withVersion(kmsg.NewPtrListGroupsRequest(), 4))
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{group}
		got := ask[*kmsg.DescribeGroupsResponse](w.t, w.addr(id), withVersion(describe, 5))
		return list.ErrorCode == 0 && got.Groups[0].ErrorCode == 0 // loaded
	})
	return id
}

// groupOf returns the group that a request is about.
func groupOf(req kmsg.Request) string {
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		return r.Group
	case *kmsg.SyncGroupRequest:
		return r.Group
	case *kmsg.HeartbeatRequest:
		return r.Group
	case *kmsg.LeaveGroupRequest:
		return r.Group
	case *kmsg.OffsetCommitRequest:
		return r.Group
	case *kmsg.OffsetFetchRequest:
		return r.Groups[0].Group
	case *kmsg.OffsetDeleteRequest:
		return r.Group
	case *kmsg.DescribeGroupsRequest:
		return r.Groups[0]
	case *kmsg.DeleteGroupsRequest:
		return r.Groups[0]
	}
	return "g1"
}

// join makes the member of g1.
func (w *groupWorld) join() {
	w.t.Helper()
	addr := w.addr(w.coordinator("g1"))
	first := ask[*kmsg.JoinGroupResponse](w.t, addr, withVersion(joinGroup("g1", ""), 9))
	joined := ask[*kmsg.JoinGroupResponse](w.t, addr, withVersion(joinGroup("g1", first.MemberID), 9))
	if joined.ErrorCode != 0 || joined.Generation != 1 {
		w.t.Fatalf("join: %+v", joined)
	}
	w.member = joined.MemberID
}

// astray sends a request to a broker that does not coordinate its group.
func (w *groupWorld) astray(req kmsg.Request) call {
	return call{req: req, to: 3 - w.coordinator(groupOf(req))}
}

func rowsGroups(w *groupWorld) script {
	join := func(change func(*kmsg.JoinGroupRequest)) func(*world) call {
		return func(*world) call {
			r := joinGroup("g2", "")
			change(r)
			return call{req: r}
		}
	}
	sync := func(change func(*kmsg.SyncGroupRequest)) func(*world) call {
		return func(*world) call {
			r := kmsg.NewPtrSyncGroupRequest()
			r.Group, r.MemberID, r.Generation, r.ProtocolType, r.Protocol = "g1", w.member, 1, ptr("consumer"), ptr("range")
			r.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: w.member, MemberAssignment: []byte{1}}}
			change(r)
			return call{req: r}
		}
	}
	beat := func(change func(*kmsg.HeartbeatRequest)) func(*world) call {
		return func(*world) call {
			r := kmsg.NewPtrHeartbeatRequest()
			r.Group, r.MemberID, r.Generation = "g1", w.member, 1
			change(r)
			return call{req: r}
		}
	}
	commit := func(change func(*kmsg.OffsetCommitRequest)) func(*world) call {
		return func(*world) call {
			r := offsetCommit("g1", "e1")
			r.MemberID, r.Generation = w.member, 1
			change(r)
			return call{req: r}
		}
	}
	leave := func(group string, members ...string) func(*world) call {
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Group = group
		for _, m := range members {
			r.MemberID = m
			r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: m})
		}
		return request(r)
	}
	describe := func(group string) *kmsg.DescribeGroupsRequest {
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Groups = []string{group}
		return r
	}
	remove := func(group string) *kmsg.DeleteGroupsRequest {
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Groups = []string{group}
		return r
	}
	removeOffsets := func(group, topic string) func(*world) call {
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = group
		r.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
		return request(r)
	}
	list := func(states, types []string) func(*world) call {
		r := kmsg.NewPtrListGroupsRequest()
		r.StatesFilter, r.TypesFilter = states, types
		return request(r)
	}
	anonymous := func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = "", -1 }
	all := offsetFetch("g1", "e1")
	all.Groups[0].Topics = nil
	heartbeat848, describe848 := kmsg.NewPtrConsumerGroupHeartbeatRequest(), kmsg.NewPtrConsumerGroupDescribeRequest()
	heartbeat848.Group, describe848.Groups = "g1", []string{"g1"}
	return script{
		"JoinGroup: empty list of protocols":                                      join(func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }),
		"JoinGroup: empty protocol type":                                          join(func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" }),
		"JoinGroup: no member id (v4 and later)":                                  join(func(*kmsg.JoinGroupRequest) {}),
		"JoinGroup: unknown member id, group does not exist":                      join(func(r *kmsg.JoinGroupRequest) { r.Group, r.MemberID = "nobody's", "m" }),
		"JoinGroup: unknown member id while another one is pending":               join(func(r *kmsg.JoinGroupRequest) { r.MemberID = "m" }),
		"JoinGroup: empty group id":                                               join(func(r *kmsg.JoinGroupRequest) { r.Group = "" }),
		"JoinGroup: session timeout 100 (below group.min.session.timeout.ms)":     join(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 100 }),
		"JoinGroup: session timeout 3600000 (above group.max.session.timeout.ms)": join(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 3_600_000 }),
		"JoinGroup: sent to a broker that is not the coordinator":                 func(*world) call { return w.astray(joinGroup("g1", "")) },
		"JoinGroup: protocols without a common one": join(func(r *kmsg.JoinGroupRequest) {
			r.Group, r.Protocols[0].Name = "g1", "other"
		}),
		"JoinGroup: other protocol type than the group's": join(func(r *kmsg.JoinGroupRequest) { r.Group, r.ProtocolType = "g1", "connect" }),
		"JoinGroup: static member with an unknown member id": join(func(r *kmsg.JoinGroupRequest) {
			r.Group, r.MemberID, r.InstanceID = "g1", "m", ptr("i")
		}),

		"OffsetCommit: member of generation 1 commits before the sync": func(x *world) call {
			w.join()
			return commit(func(*kmsg.OffsetCommitRequest) {})(x)
		},
		"SyncGroup: unknown member":                                           sync(func(r *kmsg.SyncGroupRequest) { r.MemberID = "m" }),
		"SyncGroup: illegal generation 9":                                     sync(func(r *kmsg.SyncGroupRequest) { r.Generation = 9 }),
		"SyncGroup: other protocol name than the elected one":                 sync(func(r *kmsg.SyncGroupRequest) { r.Protocol = ptr("other") }),
		"SyncGroup: other protocol type":                                      sync(func(r *kmsg.SyncGroupRequest) { r.ProtocolType = ptr("other") }),
		"SyncGroup: unknown group":                                            sync(func(r *kmsg.SyncGroupRequest) { r.Group = "nobody's" }),
		"SyncGroup: null protocol name, v5":                                   sync(func(r *kmsg.SyncGroupRequest) { r.Protocol = nil }),
		"SyncGroup: valid":                                                    sync(func(*kmsg.SyncGroupRequest) {}),
		"SyncGroup: empty group id":                                           sync(func(r *kmsg.SyncGroupRequest) { r.Group = "" }),
		"SyncGroup: not the coordinator":                                      func(x *world) call { return w.astray(sync(func(*kmsg.SyncGroupRequest) {})(x).req) },
		"Heartbeat: valid":                                                    beat(func(*kmsg.HeartbeatRequest) {}),
		"Heartbeat: unknown member":                                           beat(func(r *kmsg.HeartbeatRequest) { r.MemberID = "m" }),
		"Heartbeat: illegal generation 9":                                     beat(func(r *kmsg.HeartbeatRequest) { r.Generation = 9 }),
		"Heartbeat: unknown group":                                            beat(func(r *kmsg.HeartbeatRequest) { r.Group = "nobody's" }),
		"Heartbeat: empty group id":                                           beat(func(r *kmsg.HeartbeatRequest) { r.Group = "" }),
		"Heartbeat: not the coordinator":                                      func(x *world) call { return w.astray(beat(func(*kmsg.HeartbeatRequest) {})(x).req) },
		"Heartbeat: unknown instance id":                                      beat(func(r *kmsg.HeartbeatRequest) { r.InstanceID = ptr("i") }),
		"OffsetCommit: valid":                                                 commit(func(*kmsg.OffsetCommitRequest) {}),
		"OffsetCommit: unknown topic":                                         commit(func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Topic = "nope" }),
		"OffsetCommit: unknown partition":                                     commit(func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Partition = 9 }),
		"OffsetCommit: metadata of 5000 bytes":                                commit(func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = ptr(strings.Repeat("m", 5000)) }),
		"OffsetCommit: unknown member":                                        commit(func(r *kmsg.OffsetCommitRequest) { r.MemberID = "m" }),
		"OffsetCommit: unknown member, v9":                                    commit(func(r *kmsg.OffsetCommitRequest) { r.MemberID = "m" }),
		"OffsetCommit: illegal generation 9":                                  commit(func(r *kmsg.OffsetCommitRequest) { r.Generation = 9 }),
		"OffsetCommit: simple commit (generation -1) to a group with members": commit(anonymous),
		"OffsetCommit: simple commit to a new group": commit(func(r *kmsg.OffsetCommitRequest) {
			anonymous(r)
			r.Group = "simple"
		}),
		"OffsetCommit: generation 3 for a group that does not exist": commit(func(r *kmsg.OffsetCommitRequest) { r.Group, r.Generation = "nobody's", 3 }),
		"OffsetCommit: empty group id": commit(func(r *kmsg.OffsetCommitRequest) {
			anonymous(r)
			r.Group = ""
		}),
		"OffsetCommit: not the coordinator": func(*world) call { return w.astray(offsetCommit("g1", "e1")) },

		"OffsetFetch: valid":               request(offsetFetch("g1", "e1")),
		"OffsetFetch: unknown group":       request(offsetFetch("nobody's", "e1")),
		"OffsetFetch: unknown topic":       request(offsetFetch("g1", "nope")),
		"OffsetFetch: empty group id":      request(offsetFetch("", "e1")),
		"OffsetFetch: all topics of g1":    request(all),
		"OffsetFetch: not the coordinator": func(*world) call { return w.astray(offsetFetch("g1", "e1")) },

		"LeaveGroup: unknown member":     leave("g1", "m"),
		"LeaveGroup: unknown member, v2": leave("g1", "m"),
		"LeaveGroup: unknown group":      leave("nobody's", "m"),
		"LeaveGroup: unknown group, v2":  leave("nobody's", "m"),
		"LeaveGroup: no members":         leave("g1"),
		"LeaveGroup: empty group id":     leave("", "m"),

		"DescribeGroups: stable group":              request(describe("g1")),
		"DescribeGroups: group that does not exist": request(describe("nobody's")),
		"DescribeGroups: group with offsets only":   request(describe("simple")),
		"DescribeGroups: empty group id":            request(describe("")),
		"DescribeGroups: not the coordinator":       func(*world) call { return w.astray(describe("g1")) },
		"ListGroups: unknown state in the filter":   list([]string{"Nonsense"}, nil),
		"ListGroups: unknown type in the filter":    list(nil, []string{"Nonsense"}),
		"ListGroups: state filter in lower case":    list([]string{"stable"}, nil),
		"DeleteGroups: group with members":          request(remove("g1")),
		"DeleteGroups: unknown group":               request(remove("nobody's")),
		"DeleteGroups: empty group id":              request(remove("")),
		"DeleteGroups: not the coordinator":         func(*world) call { return w.astray(remove("g1")) },

		"OffsetDelete: unknown group":                      removeOffsets("nobody's", "e1"),
		"OffsetDelete: unknown topic":                      removeOffsets("g1", "nope"),
		"OffsetDelete: stable group, topic not subscribed": removeOffsets("g1", "e1"),
		"OffsetDelete: empty group id":                     removeOffsets("", "e1"),

		"ConsumerGroupHeartbeat: new consumer protocol on a ZooKeeper-mode broker": request(heartbeat848),
		"ConsumerGroupDescribe: new consumer protocol on a ZooKeeper-mode broker":  request(describe848),
	}
}

// groupExtra returns what the table shows in brackets of the answers about groups.
func groupExtra(resp kmsg.Response) string {
	switch r := resp.(type) {
	case *kmsg.OffsetFetchResponse:
		var parts []string
		for _, t := range r.Groups[0].Topics {
			for _, p := range t.Partitions {
				parts = append(parts, fmt.Sprintf("%s-%d=%d", t.Topic, p.Partition, p.Offset))
			}
		}
		return "offsets " + strings.Join(parts, " ")
	case *kmsg.DescribeGroupsResponse:
		g := &r.Groups[0]
		return fmt.Sprintf("state=%q type=%q protocol=%q members=%d", g.State, g.ProtocolType, g.Protocol, len(g.Members))
	case *kmsg.ListGroupsResponse:
		return fmt.Sprintf("%d groups", len(r.Groups))
	}
	return ""
}
