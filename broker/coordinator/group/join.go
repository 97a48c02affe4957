package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// Join handles a JoinGroup; its answer comes at once, or when the rebalance that it takes part in ends.
func (g *Group) Join(j *Join, from Caller, now time.Time) {
	switch {
	case !g.accepts(j.MemberID):
		g.remove(j.MemberID)
		g.refuse(from, "", kerr.GroupMaxSizeReached)
	case g.state == Dead:
		g.refuse(from, j.MemberID, kerr.CoordinatorNotAvailable)
	case !g.supports(j.ProtocolType, j.Protocols):
		g.refuse(from, j.MemberID, kerr.InconsistentGroupProtocol)
	case j.MemberID == "":
		g.joinNew(j, from, now)
	default:
		g.joinKnown(j, from, now)
	}
	g.tryCompleteJoin(now)
}

func (g *Group) refuse(to Caller, memberID string, err *kerr.Error) {
	g.fx.Joins = append(g.fx.Joins, JoinAnswer{to, refusal(memberID, err)})
}

// accepts reports whether the group has room for id. During a rebalance those who wait count, so that the
// last to come are shed when the limit was lowered.
func (g *Group) accepts(id string) bool {
	m := g.members[id]
	switch g.state {
	case PreparingRebalance:
		return m != nil && m.joining != nil || g.joiners < g.config.MaxSize
	case CompletingRebalance, Stable:
		return m != nil || len(g.members) < g.config.MaxSize
	}
	return true
}

// joinNew handles a member without an id.
func (g *Group) joinNew(j *Join, from Caller, now time.Time) {
	if j.InstanceID != nil {
		id := *j.InstanceID + "-" + g.config.NewID()
		if old, known := g.instances[*j.InstanceID]; known {
			g.replace(j, old, id, from, now)
			return
		}
		g.admit(j, id, from, now)
		return
	}
	id := j.ClientID + "-" + g.config.NewID()
	if !j.RequireKnownID {
		g.admit(j, id, from, now)
		return
	}
	g.note("Dynamic member with unknown member id joins group %s in state %s: it is to join again as %s (client %s, %s)%s",
		g.ID, g.state, id, j.ClientID, j.ClientHost, because(j.Reason))
	by := now.Add(millis(j.SessionTimeoutMs))
	g.pending[id] = by
	g.at(by)
	g.refuse(from, id, kerr.MemberIDRequired)
}

// joinKnown handles a member that comes with the id that it was given.
func (g *Group) joinKnown(j *Join, from Caller, now time.Time) {
	if _, waits := g.pending[j.MemberID]; waits {
		if j.InstanceID != nil { // an IllegalStateException in Kafka: such an id is of no static member
			g.refuse(from, "", kerr.UnknownServerError)
			return
		}
		g.admit(j, j.MemberID, from, now)
		return
	}
	if err := g.check(Identity{j.MemberID, j.InstanceID}); err != nil {
		g.refuse(from, j.MemberID, err)
		return
	}
	m := g.members[j.MemberID]
	leads := g.leader == m.id
	switch {
	case g.state == Empty || g.state == Dead:
		g.refuse(from, j.MemberID, kerr.UnknownMemberID)
	case g.state == CompletingRebalance && m.matches(j.Protocols), // the answer was lost
		g.state == Stable && !leads && m.matches(j.Protocols):
		g.fx.Joins = append(g.fx.Joins, JoinAnswer{from, g.joined(m, g.state == CompletingRebalance)})
	default:
		g.update(m, j.Protocols, millis(j.RebalanceTimeoutMs), millis(j.SessionTimeoutMs))
		g.parkJoin(m, from)
		g.maybePrepare(now, "member "+m.id+" joins again"+because(j.Reason))
	}
}

// joined is the answer that tells m of the present generation; a leader learns whom to assign to.
func (g *Group) joined(m *member, tellLeader bool) Joined {
	j := Joined{
		MemberID: m.id, Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader,
	}
	if tellLeader && g.leader == m.id {
		j.Members = g.described()
	}
	return j
}

// admit makes a new member under id, which waits for the rebalance that this begins.
func (g *Group) admit(j *Join, id string, from Caller, now time.Time) {
	m := &member{
		id: id, instance: j.InstanceID, clientID: j.ClientID, clientHost: j.ClientHost,
		sessionTimeout: millis(j.SessionTimeoutMs), rebalanceTimeout: millis(j.RebalanceTimeoutMs),
		protocols: j.Protocols, isNew: true,
	}
	if g.state == PreparingRebalance && g.generation == 0 {
		g.newMember = true
	}
	g.add(m, j.ProtocolType)
	g.parkJoin(m, from)
	g.expect(m, now.Add(newMemberTimeout))
	g.maybePrepare(now, "adding new member "+id+because(j.Reason))
}

// replacement is a static member that came back under a new id while the group was Stable. It is told so
// once that is stored.
type replacement struct {
	instance, oldID, newID string
	protocols              []Protocol
	rebalance, session     time.Duration
	leader                 string // before
	maySkip                bool
}

// replace lets a static member that has lost its id go on under another one (KIP-345). In a Stable group
// whose protocol stays the same nothing needs to be assigned anew.
func (g *Group) replace(j *Join, oldID, newID string, from Caller, now time.Time) {
	m := g.members[oldID]
	g.note("Static member %s joins group %s in state %s: %s takes the place of %s%s", *j.InstanceID, g.ID, g.state, newID, m, because(j.Reason))
	r := &replacement{
		instance: *j.InstanceID, oldID: oldID, newID: newID, protocols: m.protocols,
		rebalance: m.rebalanceTimeout, session: m.sessionTimeout, leader: g.leader, maySkip: j.MaySkipAssignment,
	}
	g.answerJoin(m, refusal(oldID, kerr.FencedInstanceID))
	g.answerSync(m, Synced{Code: kerr.FencedInstanceID.Code})
	g.rename(m, newID)
	g.update(m, j.Protocols, millis(j.RebalanceTimeoutMs), millis(j.SessionTimeoutMs))
	g.heard(m, now)
	g.parkJoin(m, from)
	switch g.state {
	case Stable:
		if g.elect() != deref(g.protocol) {
			g.maybePrepare(now, "static member "+r.instance+" changes the protocol"+because(j.Reason))
			return
		}
		g.store(ticket{generation: g.generation, replaced: r}, nil)
	case CompletingRebalance:
		// The leader may be assigning to the old id.
		g.prepare(now, "static member "+r.instance+" has a new id"+because(j.Reason))
	}
}

// rename gives m another id.
func (g *Group) rename(m *member, id string) {
	delete(g.members, m.id)
	if g.unsynced[m.id] {
		delete(g.unsynced, m.id)
		g.unsynced[id] = true
	}
	if g.leader == m.id {
		g.leader = id
	}
	m.id = id
	g.members[id] = m
	g.instances[*m.instance] = id
}

// replacementStored tells the static member of r how it went.
func (g *Group) replacementStored(r *replacement, code int16, now time.Time) {
	m := g.members[r.newID]
	if m == nil {
		return // it left, or was replaced in turn, and has had its answer
	}
	if code != 0 {
		g.note("Group %s: the new id of static member %s could not be stored", g.ID, r.instance)
		j := g.joined(m, false)
		j.Code, j.MemberID, j.Leader = code, "", r.leader
		g.answerJoin(m, j)
		g.update(m, r.protocols, r.rebalance, r.session)
		g.rename(m, r.oldID)
		g.heard(m, now)
		return
	}
	if g.state != Stable {
		return // a rebalance has begun and takes the waiting member along
	}
	g.heard(m, now) // its session may have ended while it waited, which only kept it
	j := g.joined(m, r.maySkip)
	if j.Skip = r.maySkip && g.leader == m.id; !r.maySkip {
		// An old client that reads its own id would assign, and nobody would hear of it.
		j.Leader = r.leader
	}
	g.answerJoin(m, j)
}
