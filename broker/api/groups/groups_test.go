package groups

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/coordinator"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zooKeeper keeps the offsets of old consumers.
type zooKeeper map[string]int64

func (z zooKeeper) ConsumerOffset(_ context.Context, group string, p topic.Partition) (int64, bool, error) {
	offset, ok := z[group+p.String()]
	return offset, ok, nil
}

func (z zooKeeper) SetConsumerOffset(_ context.Context, group string, p topic.Partition, offset int64) error {
	z[group+p.String()] = offset
	return nil
}

// world is a broker that coordinates all groups, with a topic orders of two partitions.
type world struct {
	*Handlers
	t      *testing.T
	broker *fixture.Broker
}

func newWorld(t *testing.T, lead bool) *world {
	t.Helper()
	b := fixture.New(t)
	ids := 0
	c, err := coordinator.New(coordinator.Options{
		Replicas: b.Replicas, Partitions: 1, Logger: b.Logger, RequiredAcks: -1,
		Groups: group.Config{
			MaxSize: 10, MinSessionTimeoutMs: 100, MaxSessionTimeoutMs: 60000, MaxMetadata: 10,
			NewID: func() string { ids++; return fmt.Sprint(ids) },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	h := &Handlers{
		Groups: c, Replicas: b.Replicas, Metadata: b.Metadata, Old: zooKeeper{}, MaxMetadata: 10, Context: t.Context(), Logger: b.Logger,
		Verifying: func() bool { return false },
	}
	b.Topic(t, "orders", 2, []int32{1}, nil)
	if lead {
		b.Topic(t, topic.ConsumerOffsets, 1, []int32{1}, nil)
		c.Elected(0, 0)
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if code, _ := c.List(nil); code == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the partition was not loaded")
			}
		}
	}
	return &world{Handlers: h, t: t, broker: b}
}

func do[R kmsg.Response](w *world, handle func(*request.Request), req kmsg.Request, version int16) R {
	w.t.Helper()
	req.SetVersion(version)
	resp := req.ResponseKind().(R)
	fixture.Do(w.t, request.HandlerFunc(handle), req, resp)
	return resp
}

func joinRequest(member string) *kmsg.JoinGroupRequest {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.MemberID, r.ProtocolType, r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = "g", member, "consumer", 10000, 10000
	r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 1, 0, 0, 0, 1, 0, 6, 'o', 'r', 'd', 'e', 'r', 's'}}}
	return r
}

func commitRequest(groupID, member string, generation int32, offset int64, metadata string) *kmsg.OffsetCommitRequest {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation, r.RetentionTimeMillis = groupID, member, generation, -1
	for i, name := range []string{"orders", "nope"} {
		t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata, p.LeaderEpoch, p.Timestamp = int32(i), offset, &metadata, 3, -1
		t.Topic, t.Partitions = name, append(t.Partitions, p)
		r.Topics = append(r.Topics, t)
	}
	return r
}

func fetchRequest(groupID string) *kmsg.OffsetFetchRequest {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group, r.Topics = groupID, []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{0, 1}}}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = groupID, []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", Partitions: []int32{0, 1}}}
	r.Groups = append(r.Groups, g)
	return r
}

// offsets returns what was answered, whatever the version.
func offsets(r *kmsg.OffsetFetchResponse) (code int16, list []string) {
	code = r.ErrorCode
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			list = append(list, fmt.Sprintf("%s-%d=%d %q %d", t.Topic, p.Partition, p.Offset, *p.Metadata, p.ErrorCode))
		}
	}
	for _, g := range r.Groups {
		code = g.ErrorCode
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				list = append(list, fmt.Sprintf("%s-%d=%d %q %d", t.Topic, p.Partition, p.Offset, *p.Metadata, p.ErrorCode))
			}
		}
	}
	return code, list
}

// TestCommitOfNoPartitions: of topics without partitions, only those that do not exist are in the answer.
func TestCommitOfNoPartitions(t *testing.T) {
	w := newWorld(t, true)
	for version := range int16(10) {
		r := commitRequest("g", "", -1, 1, "")
		r.Topics[0].Partitions, r.Topics[1].Partitions = nil, nil
		resp := do[*kmsg.OffsetCommitResponse](w, w.OffsetCommit, r, version)
		if len(resp.Topics) != 1 || resp.Topics[0].Topic != "nope" || len(resp.Topics[0].Partitions) != 0 {
			t.Errorf("v%d: %+v, want topic nope alone", version, resp.Topics)
		}
	}
}

// TestOffsets commits and fetches in every version: those of version 0 go to ZooKeeper, those of the others to the
// log, from where they are read again by the next coordinator.
func TestOffsets(t *testing.T) {
	w := newWorld(t, true)
	for version := range int16(10) {
		id := fmt.Sprint("simple-", version)
		resp := do[*kmsg.OffsetCommitResponse](w, w.OffsetCommit, commitRequest(id, "", -1, 40+int64(version), "m"), version)
		if a, b := resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[1].Partitions[0].ErrorCode; a != 0 || b != 3 {
			t.Errorf("commit v%d: errors %d and %d, want 0 and 3", version, a, b)
		}
	}
	for version := range int16(10) {
		for round, source := range []int16{0, max(version, 1)} {
			if round == 0 && version > 0 {
				continue
			}
			if version == 0 {
				source = 0
			}
			metadata, other := `"m"`, 0
			if version == 0 {
				metadata, other = `""`, 3
			}
			want := []string{fmt.Sprintf("orders-0=%d %s 0", 40+source, metadata), fmt.Sprintf(`orders-1=-1 "" %d`, other)}
			code, got := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, fetchRequest(fmt.Sprint("simple-", source)), version))
			if code != 0 || !slices.Equal(got, want) {
				t.Errorf("fetch v%d: error %d, %q, want %q", version, code, got, want)
			}
		}
	}
	for _, version := range []int16{1, 8} {
		twice := fetchRequest("simple-1")
		twice.Topics[0].Partitions, twice.Groups[0].Topics[0].Partitions = []int32{0, 1, 0}, []int32{0, 1, 0}
		if _, list := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, twice, version)); len(list) != 2 {
			t.Errorf("version %d: a partition that is asked for twice is answered as %q", version, list)
		}
	}
	w.Groups.Resigned(0, 1)
	if code, _ := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, fetchRequest("simple-9"), 9)); code != 16 {
		t.Errorf("fetch from a broker that has resigned: error %d, want 16", code)
	}
	if _, list := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, fetchRequest("simple-9"), 1)); len(list) != 2 || list[0] != `orders-0=-1 "" 16` {
		t.Errorf("fetch v1 from a broker that has resigned: %q, want error 16 for each partition", list)
	}
	w.Groups.Elected(0, 2)
	all := fetchRequest("simple-9")
	all.Groups[0].Topics = nil
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		code, list := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, all, 8))
		if code == 0 && slices.Equal(list, []string{`orders-0=49 "m" 0`}) {
			break
		}
		if code != 14 || time.Now().After(end) {
			t.Fatalf("fetch after the reload: error %d, %q", code, list)
		}
	}
}

// TestMember goes through a member's life in every version of each API.
func TestMember(t *testing.T) {
	w := newWorld(t, true)
	for version := range int16(10) {
		join := joinRequest("")
		joined := do[*kmsg.JoinGroupResponse](w, w.JoinGroup, join, version)
		if version >= 4 {
			if joined.ErrorCode != 79 || joined.MemberID == "" || joined.Generation != -1 {
				t.Fatalf("join v%d without an id: %+v, want error 79", version, joined)
			}
			joined = do[*kmsg.JoinGroupResponse](w, w.JoinGroup, joinRequest(joined.MemberID), version)
		}
		if joined.ErrorCode != 0 || joined.LeaderID != joined.MemberID || len(joined.Members) != 1 || *joined.Protocol != "range" {
			t.Fatalf("join v%d: %+v", version, joined)
		}
		member, generation := joined.MemberID, joined.Generation

		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Group, sync.MemberID, sync.Generation = "g", member, generation
		sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("all")}}
		if version >= 5 {
			if got := do[*kmsg.SyncGroupResponse](w, w.SyncGroup, sync, 5); got.ErrorCode != 23 {
				t.Errorf("sync v5 without protocol: error %d, want 23", got.ErrorCode)
			}
		}
		sync.ProtocolType, sync.Protocol = &join.ProtocolType, &join.Protocols[0].Name
		synced := do[*kmsg.SyncGroupResponse](w, w.SyncGroup, sync, min(version, 5))
		if synced.ErrorCode != 0 || string(synced.MemberAssignment) != "all" {
			t.Fatalf("sync v%d: %+v", version, synced)
		}

		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group, beat.MemberID, beat.Generation = "g", member, generation
		if got := do[*kmsg.HeartbeatResponse](w, w.Heartbeat, beat, min(version, 4)); got.ErrorCode != 0 {
			t.Errorf("heartbeat v%d: error %d", version, got.ErrorCode)
		}
		if version > 0 {
			commit := do[*kmsg.OffsetCommitResponse](w, w.OffsetCommit, commitRequest("g", member, generation, int64(version), ""), version)
			if code := commit.Topics[0].Partitions[0].ErrorCode; code != 0 {
				t.Errorf("commit v%d: error %d", version, code)
			}
		}
		w.checkAdmin(version, member)

		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group, leave.MemberID, leave.Members = "g", member, []kmsg.LeaveGroupRequestMember{{MemberID: member}, {MemberID: "nobody"}}
		left := do[*kmsg.LeaveGroupResponse](w, w.LeaveGroup, leave, min(version, 5))
		if left.ErrorCode != 0 || version >= 3 && (len(left.Members) != 2 || left.Members[0].ErrorCode != 0 || left.Members[1].ErrorCode != 25) {
			t.Errorf("leave v%d: %+v", version, left)
		}
		if version < 3 {
			if again := do[*kmsg.LeaveGroupResponse](w, w.LeaveGroup, leave, version); again.ErrorCode != 25 {
				t.Errorf("leave v%d again: error %d, want 25", version, again.ErrorCode)
			}
		}
	}
	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Groups = []string{"g", "h", "g"}
	removed := do[*kmsg.DeleteGroupsResponse](w, w.DeleteGroups, remove, 2)
	if len(removed.Groups) != 2 || removed.Groups[0].ErrorCode != 0 || removed.Groups[1].ErrorCode != 69 {
		t.Errorf("delete: %+v", removed.Groups)
	}
}

// checkAdmin looks at group g, which is stable with one member.
func (w *world) checkAdmin(version int16, member string) {
	w.t.Helper()
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups, describe.IncludeAuthorizedOperations = []string{"g", "h"}, true
	groups := do[*kmsg.DescribeGroupsResponse](w, w.DescribeGroups, describe, min(version, 5)).Groups
	g := groups[0]
	if g.State != "Stable" || g.Protocol != "range" || g.ProtocolType != "consumer" || len(g.Members) != 1 ||
		g.Members[0].MemberID != member || string(g.Members[0].MemberAssignment) != "all" || g.Members[0].ClientID != "test" {
		w.t.Errorf("describe v%d: %+v", version, g)
	}
	if groups[1].State != "Dead" || groups[1].ErrorCode != 0 {
		w.t.Errorf("describe v%d an unknown group: %+v", version, groups[1])
	}
	list := kmsg.NewPtrListGroupsRequest()
	for _, tt := range []struct {
		states, types []string
		want          int
	}{{nil, nil, 1}, {[]string{"stable"}, []string{"Classic"}, 1}, {[]string{"Empty"}, nil, 0}, {nil, []string{"consumer"}, 0}} {
		list.StatesFilter, list.TypesFilter = tt.states, tt.types
		if tt.states != nil && version < 4 || tt.types != nil && version < 5 {
			continue
		}
		if got := do[*kmsg.ListGroupsResponse](w, w.ListGroups, list, min(version, 5)).Groups; len(got) != tt.want {
			w.t.Errorf("list v%d with %v: %+v, want %d", version, tt, got, tt.want)
		}
	}
	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Groups = []string{"g"}
	if got := do[*kmsg.DeleteGroupsResponse](w, w.DeleteGroups, remove, min(version, 2)).Groups[0].ErrorCode; got != 68 {
		w.t.Errorf("delete v%d a group with a member: error %d, want 68", version, got)
	}
	offsets := kmsg.NewPtrOffsetDeleteRequest()
	offsets.Group = "g"
	offsets.Topics = []kmsg.OffsetDeleteRequestTopic{
		{Topic: "orders", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}},
		{Topic: "nope", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}},
	}
	deleted := do[*kmsg.OffsetDeleteResponse](w, w.OffsetDelete, offsets, 0)
	if a, b := deleted.Topics[0].Partitions[0].ErrorCode, deleted.Topics[1].Partitions[0].ErrorCode; a != 86 || b != 3 {
		w.t.Errorf("delete offsets: errors %d and %d, want 86 and 3", a, b)
	}
}

// TestNotCoordinator asks a broker that leads nothing, and without a group id.
func TestNotCoordinator(t *testing.T) {
	w := newWorld(t, false)
	if got := do[*kmsg.JoinGroupResponse](w, w.JoinGroup, joinRequest(""), 9); got.ErrorCode != 16 {
		t.Errorf("join: error %d, want 16", got.ErrorCode)
	}
	commit := do[*kmsg.OffsetCommitResponse](w, w.OffsetCommit, commitRequest("g", "", -1, 1, ""), 8)
	if got := commit.Topics[0].Partitions[0].ErrorCode; got != 16 {
		t.Errorf("commit: error %d, want 16", got)
	}
	join := joinRequest("")
	join.Group = ""
	if got := do[*kmsg.JoinGroupResponse](w, w.JoinGroup, join, 9); got.ErrorCode != 24 {
		t.Errorf("join without a group: error %d, want 24", got.ErrorCode)
	}
}

// TestKRaftProtocol refuses what belongs to the group protocol of KRaft.
func TestKRaftProtocol(t *testing.T) {
	w := newWorld(t, false)
	beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	if got := do[*kmsg.ConsumerGroupHeartbeatResponse](w, w.ConsumerGroupHeartbeat, beat, 0); got.ErrorCode != 35 {
		t.Errorf("ConsumerGroupHeartbeat: error %d, want 35", got.ErrorCode)
	}
	describe := kmsg.NewPtrConsumerGroupDescribeRequest()
	describe.Groups = []string{"g"}
	if got := do[*kmsg.ConsumerGroupDescribeResponse](w, w.ConsumerGroupDescribe, describe, 0); got.Groups[0].ErrorCode != 35 {
		t.Errorf("ConsumerGroupDescribe: error %d, want 35", got.Groups[0].ErrorCode)
	}
}
