package conformance

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// What a request with repeated entries may get: 16 MiB for the repeats, and an error for each of the others.
const (
	repeated      = 20_000
	repeatedBytes = 20 << 20
)

// TestRepeatedEntries names one thing many times in one request, where the answer for each is long: small requests must not
// make the broker build answers of gigabytes.
func TestRepeatedEntries(t *testing.T) {
	t.Parallel()
	s := newSingle(t, cluster.Props{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1"})
	leave := s.joinLargeGroup("large")
	defer leave()

	t.Run("DescribeConfigs", func(t *testing.T) {
		req := describeConfigs(brokerResource, "1")
		req.IncludeDocumentation, req.IncludeSynonyms = true, true
		req.Resources = slices.Repeat(req.Resources, repeated)
		resp := askRepeated(t, s, withVersion(req, 4)).(*kmsg.DescribeConfigsResponse)
		requireSomeRefused(t, resp.Resources, func(r *kmsg.DescribeConfigsResponseResource) (int16, bool) { return r.ErrorCode, len(r.Configs) > 0 })
	})
	t.Run("DescribeGroups", func(t *testing.T) {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = slices.Repeat([]string{"large"}, repeated)
		resp := askRepeated(t, s, withVersion(req, 5)).(*kmsg.DescribeGroupsResponse)
		requireSomeRefused(t, resp.Groups, func(g *kmsg.DescribeGroupsResponseGroup) (int16, bool) { return g.ErrorCode, len(g.Members) > 0 })
	})
	t.Run("OffsetFetch", func(t *testing.T) {
		req := kmsg.NewPtrOffsetFetchRequest()
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = "simple"
		req.Groups = slices.Repeat([]kmsg.OffsetFetchRequestGroup{g}, repeated)
		resp := askRepeated(t, s, withVersion(req, 8)).(*kmsg.OffsetFetchResponse)
		requireSomeRefused(t, resp.Groups, func(g *kmsg.OffsetFetchResponseGroup) (int16, bool) { return g.ErrorCode, len(g.Topics) > 0 })
	})
	t.Run("OffsetFetch of one partition", func(t *testing.T) { // with short answers in between
		req := kmsg.NewPtrOffsetFetchRequest()
		for _, partition := range []int32{0, 7} {
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.Topics = "simple", []kmsg.OffsetFetchRequestGroupTopic{{Topic: theTopic, Partitions: []int32{partition}}}
			req.Groups = append(req.Groups, g)
		}
		req.Groups = slices.Repeat(req.Groups, repeated/len(req.Groups))
		resp := askRepeated(t, s, withVersion(req, 8)).(*kmsg.OffsetFetchResponse)
		requireSomeRefused(t, resp.Groups, func(g *kmsg.OffsetFetchResponseGroup) (int16, bool) { return g.ErrorCode, len(g.Topics) > 0 })
	})
	s.serves()
}

// askRepeated returns the answer to req, which must not be longer than repeatedBytes.
func askRepeated(t *testing.T, s *single, req kmsg.Request) kmsg.Response {
	t.Helper()
	c := dial(t, s.addr)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if err := c.sendRequest(req); err != nil {
		t.Fatal(err)
	}
	content, err := c.readFrame()
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > repeatedBytes {
		t.Errorf("the answer has %d bytes, want at most %d", len(content), repeatedBytes)
	}
	resp, err := decode(req, c.correlation, content)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// requireSomeRefused wants an answer for each entry: whole ones for the first 50, INVALID_REQUEST for the last.
func requireSomeRefused[E any](t *testing.T, entries []E, look func(*E) (code int16, whole bool)) {
	t.Helper()
	if len(entries) != repeated {
		t.Fatalf("%d answers for %d entries", len(entries), repeated)
	}
	for i := range 50 {
		if code, whole := look(&entries[i]); code != 0 || !whole {
			t.Fatalf("entry %d: error %d, whole: %v", i, code, whole)
		}
	}
	if code, whole := look(&entries[repeated-1]); code != 42 || whole {
		t.Errorf("the last entry: error %d, whole: %v, want INVALID_REQUEST", code, whole)
	}
}

// joinLargeGroup makes group a stable one whose member tells much of itself, and commits an offset for group simple with
// metadata of the largest size. The returned function closes the member's connection.
func (s *single) joinLargeGroup(group string) (leave func()) {
	s.t.Helper()
	commit := offsetCommit("simple", theTopic)
	commit.Generation, commit.Topics[0].Partitions[0].Metadata = -1, ptr(string(bytes.Repeat([]byte("m"), 4096)))
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey = "simple"
	if !eventually(func() bool {
		ask[*kmsg.FindCoordinatorResponse](s.t, s.addr, withVersion(find, 0)) // makes the topic
		return len(errorsIn(ask[*kmsg.OffsetCommitResponse](s.t, s.addr, withVersion(commit, 8)))) == 0
	}) {
		s.t.Fatal("the coordinator takes no offsets")
	}
	c := dial(s.t, s.addr)
	join := joinGroup(group, "")
	join.Protocols[0].Metadata, join.SessionTimeoutMillis = make([]byte, 100<<10), 300_000
	joined, err := c.ask(withVersion(join, 3)) // needs no member id
	if err != nil || len(errorsIn(joined)) > 0 {
		s.t.Fatal(err, joined)
	}
	member := joined.(*kmsg.JoinGroupResponse)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = group, member.MemberID, member.Generation
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member.MemberID, MemberAssignment: []byte{0}}}
	if synced, err := c.ask(withVersion(sync, 3)); err != nil || len(errorsIn(synced)) > 0 {
		s.t.Fatal(err, synced)
	}
	return func() { c.Close() }
}
