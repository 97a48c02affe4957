package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// maybePrepare begins a rebalance unless one waits already.
func (g *Group) maybePrepare(now time.Time, reason string) {
	if PreparingRebalance.mayFollow(g.state) {
		g.prepare(now, reason)
	}
}

// prepare begins a rebalance: members have the longest of their rebalance timeouts to join again. A group
// that was empty waits a little for the members that are likely to come together.
func (g *Group) prepare(now time.Time, reason string) {
	g.note("Preparing to rebalance group %s in state %s with old generation %d (reason: %s)", g.ID, g.state, g.generation, reason)
	if g.state == CompletingRebalance {
		g.resetAssignments(kerr.RebalanceInProgress.Code, now)
	}
	g.endSync()
	timeout := g.rebalanceTimeout()
	if g.state == Empty {
		delay := g.config.InitialRebalanceDelay
		g.initial = &initialJoin{delay: delay, remaining: max(timeout-delay, 0)}
		timeout = delay
	}
	g.become(PreparingRebalance, now)
	g.awaitJoins(now.Add(timeout))
	g.tryCompleteJoin(now)
}

func (g *Group) awaitJoins(until time.Time) {
	g.joinDeadline = until
	g.at(until)
}

// tryCompleteJoin ends the wait for members when none is missing.
func (g *Group) tryCompleteJoin(now time.Time) {
	if g.state == PreparingRebalance && g.initial == nil && g.joiners == len(g.members) && len(g.pending) == 0 {
		g.completeJoin(now)
	}
}

// joinExpired is the end of the wait for members.
func (g *Group) joinExpired(now time.Time) {
	if i := g.initial; i != nil && g.newMember && i.remaining > 0 {
		g.newMember = false
		delay := min(g.config.InitialRebalanceDelay, i.remaining)
		g.initial = &initialJoin{delay: delay, remaining: max(i.remaining-i.delay, 0)}
		g.awaitJoins(now.Add(delay))
		return
	}
	g.completeJoin(now)
}

// completeJoin begins the next generation with those who have joined. Static members that have not stay,
// until their sessions end; if nobody but them is left, all of them are waited for once more.
func (g *Group) completeJoin(now time.Time) {
	g.joinDeadline, g.initial = time.Time{}, nil
	for _, m := range append([]*member(nil), g.order...) {
		if m.joining == nil && m.instance == nil {
			g.note("Group %s removes %s, which has not joined again in time", g.ID, m)
			g.remove(m.id)
		}
	}
	if len(g.members) > 0 && !g.electLeader() {
		g.note("Group %s waits once more: no member has joined again", g.ID)
		g.awaitJoins(now.Add(g.rebalanceTimeout()))
		return
	}
	g.generation++
	g.endSync()
	if len(g.members) == 0 {
		g.protocol = nil
		g.become(Empty, now)
		g.subscribe()
		g.note("Group %s with generation %d is now empty", g.ID, g.generation)
		g.store(ticket{generation: g.generation}, nil)
		return
	}
	protocol := g.elect()
	g.protocol = &protocol
	g.subscribe()
	g.become(CompletingRebalance, now)
	g.note("Stabilized group %s generation %d with %d members", g.ID, g.generation, len(g.members))
	for _, m := range g.order {
		g.answerJoin(m, g.joined(m, true))
		m.isNew = false
		g.heard(m, now)
		g.unsynced[m.id] = true
	}
	g.syncDeadline = now.Add(g.rebalanceTimeout())
	g.at(g.syncDeadline)
}

// electLeader makes sure that the leader is one of those who have joined; it reports false if none has.
func (g *Group) electLeader() bool {
	if m := g.members[g.leader]; m != nil && m.joining != nil {
		return true
	}
	for _, m := range g.order {
		if m.joining != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

// endSync ends the wait for SyncGroups.
func (g *Group) endSync() {
	clear(g.unsynced)
	g.syncDeadline = time.Time{}
}

// depart removes a member, and lets the others share what it had.
func (g *Group) depart(id string, now time.Time, reason string) {
	g.remove(id)
	switch g.state {
	case Stable, CompletingRebalance:
		g.maybePrepare(now, reason)
	case PreparingRebalance:
		g.tryCompleteJoin(now)
	}
}

// Tick tells the time: sessions, pending ids and waits that have ended by now, end.
func (g *Group) Tick(now time.Time) {
	if g.alarm.IsZero() || now.Before(g.alarm) {
		return
	}
	past := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	for id, by := range g.pending {
		if past(by) {
			g.note("Pending member %s in group %s has been removed, it did not come in time", id, g.ID)
			delete(g.pending, id)
			g.tryCompleteJoin(now)
		}
	}
	for _, m := range append([]*member(nil), g.order...) {
		if g.members[m.id] == m && past(m.expires) {
			m.expires = time.Time{}
			if m.isNew || m.joining == nil && m.syncing == nil {
				g.note("Member %s in group %s has failed, removing it from the group: no heartbeat within %v", m, g.ID, m.sessionTimeout)
				g.depart(m.id, now, "removing member "+m.id+" on heartbeat expiration")
			}
		}
	}
	if past(g.joinDeadline) {
		g.joinExpired(now)
	}
	if past(g.syncDeadline) {
		g.syncExpired(now)
	}
	g.setAlarm()
}

// syncExpired removes the members that have not asked for their assignments.
func (g *Group) syncExpired(now time.Time) {
	g.syncDeadline = time.Time{}
	if len(g.unsynced) == 0 {
		return
	}
	for _, m := range append([]*member(nil), g.order...) {
		if g.unsynced[m.id] {
			g.note("Group %s removes %s, which has not sent SyncGroup in time", g.ID, m)
			g.remove(m.id)
		}
	}
	g.prepare(now, "members did not sync in time")
}

// setAlarm finds the next deadline anew.
func (g *Group) setAlarm() {
	g.alarm = time.Time{}
	for _, by := range g.pending {
		g.at(by)
	}
	for _, m := range g.order {
		if !m.expires.IsZero() {
			g.at(m.expires)
		}
	}
	for _, t := range []time.Time{g.joinDeadline, g.syncDeadline} {
		if !t.IsZero() {
			g.at(t)
		}
	}
}

// Begin starts the sessions of a group that was loaded, and sheds members that are too many.
func (g *Group) Begin(now time.Time) {
	if len(g.members) > g.config.MaxSize {
		g.prepare(now, "freshly loaded group is over capacity")
	}
	for _, m := range g.order {
		g.heard(m, now)
	}
}

// Unload ends the group here: another broker has it now.
func (g *Group) Unload(now time.Time) {
	for _, m := range g.order {
		g.answerJoin(m, refusal(m.id, kerr.NotCoordinator))
		g.answerSync(m, Synced{Code: kerr.NotCoordinator.Code})
	}
	g.die(now)
}

// die ends the group.
func (g *Group) die(now time.Time) {
	g.become(Dead, now)
	g.joinDeadline, g.initial, g.alarm = time.Time{}, nil, time.Time{}
	g.endSync()
}
