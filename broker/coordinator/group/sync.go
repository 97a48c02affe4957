package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Sync handles a SyncGroup. Members wait for the leader, whose request brings what each of them gets; that
// is stored before they are told.
func (g *Group) Sync(s *Sync, from Caller, now time.Time) {
	if err := g.checkSync(s); err != nil {
		g.fx.Syncs = append(g.fx.Syncs, SyncAnswer{from, Synced{Code: err.Code}})
		return
	}
	m := g.members[s.MemberID]
	delete(g.unsynced, m.id)
	if len(g.unsynced) == 0 {
		g.syncDeadline = time.Time{}
	}
	if g.state == Stable {
		g.fx.Syncs = append(g.fx.Syncs, SyncAnswer{from, g.synced(m)})
		g.heard(m, now)
		return
	}
	g.answerSync(m, Synced{Superseded: true})
	m.syncing = from
	if g.leader != m.id {
		return
	}
	g.note("Assignment received from leader %s for group %s for generation %d. The group has %d members, %d of which are static",
		m.id, g.ID, g.generation, len(g.members), len(g.instances))
	assignments := make(map[string][]byte, len(g.members))
	for _, m := range g.order {
		assignments[m.id] = s.Assignments[m.id] // nothing for whom the leader has left out
	}
	g.store(ticket{generation: g.generation, assignments: assignments}, assignments)
}

func (g *Group) checkSync(s *Sync) *kerr.Error {
	if g.state == Dead {
		return kerr.CoordinatorNotAvailable
	}
	if err := g.check(Identity{s.MemberID, s.InstanceID}); err != nil {
		return err
	}
	switch {
	case s.Generation != g.generation:
		return kerr.IllegalGeneration
	case s.ProtocolType != nil && (g.protocolType == nil || *s.ProtocolType != *g.protocolType),
		s.Protocol != nil && (g.protocol == nil || *s.Protocol != *g.protocol):
		return kerr.InconsistentGroupProtocol
	case g.state == Empty:
		return kerr.UnknownMemberID
	case g.state == PreparingRebalance:
		return kerr.RebalanceInProgress
	}
	return nil
}

func (g *Group) synced(m *member) Synced {
	return Synced{ProtocolType: g.protocolType, Protocol: g.protocol, Assignment: m.assignment}
}

// store has the group's metadata appended, with assignments or, if nil, those that the members have.
func (g *Group) store(t ticket, assignments map[string][]byte) {
	g.fx.Appends = append(g.fx.Appends, Append{
		Ticket:  g.issue(t),
		Records: []Record{{Key: metadataKey(g.ID), Value: g.value(assignments)}},
	})
}

// Appended says how the append with that ticket ended: where its batch begins, or why it failed.
func (g *Group) Appended(number int, base int64, code int16, now time.Time) {
	t, ok := g.tickets[number]
	delete(g.tickets, number)
	switch {
	case !ok:
	case t.commit != nil:
		g.committed(t.commit, base, code)
	case g.state == Dead:
	case t.replaced != nil:
		g.replacementStored(t.replaced, storeCode(code), now)
	case t.assignments != nil:
		g.assigned(&t, storeCode(code), now)
	case code != 0:
		// The generation before is what a later coordinator finds. It has no members that live.
		g.note("Group %s is empty, which could not be stored", g.ID)
	}
}

// assigned gives the members what the leader has assigned, now that it is stored. If a rebalance has begun
// meanwhile, it is too late.
func (g *Group) assigned(t *ticket, code int16, now time.Time) {
	if g.state != CompletingRebalance || t.generation != g.generation {
		return
	}
	if code != 0 {
		g.resetAssignments(code, now)
		g.maybePrepare(now, "the assignment could not be stored")
		return
	}
	for _, m := range g.order {
		m.assignment = t.assignments[m.id]
	}
	g.become(Stable, now)
	for _, m := range g.order {
		if g.answerSync(m, g.synced(m)) {
			g.heard(m, now)
		}
	}
}

// resetAssignments takes away what members have, and tells those who wait why.
func (g *Group) resetAssignments(code int16, now time.Time) {
	for _, m := range g.order {
		m.assignment = nil
		if g.answerSync(m, Synced{Code: code}) {
			g.heard(m, now)
		}
	}
}

// Heartbeat handles a Heartbeat.
func (g *Group) Heartbeat(who Identity, generation int32, now time.Time) int16 {
	if g.state == Dead {
		return kerr.CoordinatorNotAvailable.Code
	}
	if err := g.check(who); err != nil {
		return err.Code
	}
	if generation != g.generation {
		return kerr.IllegalGeneration.Code
	}
	g.heard(g.members[who.MemberID], now)
	if g.state == PreparingRebalance {
		return kerr.RebalanceInProgress.Code
	}
	return 0
}

// Leave handles a LeaveGroup, with a code for each of who. An instance id without a member id is how an
// administrator removes a static member.
func (g *Group) Leave(who []Departure, now time.Time) []int16 {
	codes := make([]int16, len(who))
	for i, w := range who {
		if _, waits := g.pending[w.MemberID]; waits {
			g.note("Pending member %s has left group %s through explicit LeaveGroup%s", w.MemberID, g.ID, because(w.Reason))
			delete(g.pending, w.MemberID)
			g.tryCompleteJoin(now)
			continue
		}
		if w.MemberID == "" && w.InstanceID != nil {
			w.MemberID = g.instances[*w.InstanceID]
		}
		if err := g.check(w.Identity); err != nil {
			codes[i] = err.Code
			continue
		}
		g.note("Member %s has left group %s through explicit LeaveGroup%s", g.members[w.MemberID], g.ID, because(w.Reason))
		g.depart(w.MemberID, now, "explicit LeaveGroup request of member "+w.MemberID+because(w.Reason))
	}
	return codes
}

// storeCode turns the error of an append of a group's metadata into what members are told
// (GroupMetadataManager.storeGroup).
func storeCode(code int16) int16 {
	switch code {
	case kerr.UnknownTopicOrPartition.Code, kerr.NotEnoughReplicas.Code, kerr.NotEnoughReplicasAfterAppend.Code:
		return kerr.CoordinatorNotAvailable.Code
	case kerr.NotLeaderForPartition.Code, kerr.KafkaStorageError.Code:
		return kerr.NotCoordinator.Code
	case kerr.RequestTimedOut.Code:
		return kerr.RebalanceInProgress.Code
	case kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code, kerr.InvalidFetchSize.Code:
		return kerr.UnknownServerError.Code
	}
	return code
}
