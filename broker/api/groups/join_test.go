package groups

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/request"
)

// TestNamesOfProtocols: an empty one is null where that can be told, and one that stands twice counts once.
func TestNamesOfProtocols(t *testing.T) {
	for version := range int16(10) {
		w := newWorld(t, true)
		req := joinRequest("")
		req.Protocols[0].Name = ""
		req.Protocols = append(req.Protocols, req.Protocols[0])
		resp := do[*kmsg.JoinGroupResponse](w, w.JoinGroup, req, version)
		if version >= 4 {
			req.MemberID = resp.MemberID
			resp = do[*kmsg.JoinGroupResponse](w, w.JoinGroup, req, version)
		}
		if resp.ErrorCode != 0 || resp.MemberID == "" || len(resp.Members) != 1 {
			t.Errorf("v%d: %+v", version, resp)
		}
		switch {
		case version < 7 && (resp.Protocol == nil || *resp.Protocol != ""):
			t.Errorf("v%d: protocol %v, want an empty one", version, resp.Protocol)
		case version >= 7 && resp.Protocol != nil:
			t.Errorf("v%d: protocol %q, want null", version, *resp.Protocol)
		}
	}
}

// TestWaitingJoinGivesWay to a later one of the same member, and is never answered.
func TestWaitingJoinGivesWay(t *testing.T) {
	w := newWorld(t, true)
	a := do[*kmsg.JoinGroupResponse](w, w.JoinGroup, joinRequest(""), 3)
	join := func(member string) *fixture.Call {
		req := joinRequest(member)
		req.SetVersion(3)
		return fixture.Send(request.HandlerFunc(w.JoinGroup), req, "test")
	}
	b := join("")
	again := joinRequest(a.MemberID)
	again.Protocols[0].Metadata = []byte("changed")
	resp := do[*kmsg.JoinGroupResponse](w, w.JoinGroup, again, 3)
	if resp.ErrorCode != 0 || resp.Generation != 2 {
		t.Fatalf("%+v", resp)
	}
	second := kmsg.NewPtrJoinGroupResponse()
	b.Wait(t, 3, second)
	// The follower asks for another generation and waits for the leader; then it asks once more.
	changed := joinRequest(second.MemberID)
	changed.Protocols[0].Metadata = []byte("changed")
	changed.SetVersion(3)
	first := fixture.Send(request.HandlerFunc(w.JoinGroup), changed, "test")
	last := fixture.Send(request.HandlerFunc(w.JoinGroup), changed, "test")
	if err := first.Dropped(); !errors.Is(err, fixture.ErrAbandoned) {
		t.Errorf("the request that waited: %v, want it abandoned", err)
	}
	do[*kmsg.JoinGroupResponse](w, w.JoinGroup, again, 3)
	last.Wait(t, 3, second)
	if second.ErrorCode != 0 || second.Generation != 3 {
		t.Errorf("the later request: %+v", second)
	}
}
