package coordinator

import (
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Join handles a JoinGroup; reply is called once, now or when the rebalance ends.
func (c *Coordinator) Join(groupID string, j *group.Join, reply func(group.Joined)) {
	refuse := func(memberID string, err *kerr.Error) {
		reply(group.Joined{Code: err.Code, MemberID: memberID, Generation: -1})
	}
	if groupID == "" {
		refuse(j.MemberID, kerr.InvalidGroupID)
		return
	}
	badTimeout := j.SessionTimeoutMs < c.opts.Groups.MinSessionTimeoutMs || j.SessionTimeoutMs > c.opts.Groups.MaxSessionTimeoutMs
	var refused *kerr.Error
	err := c.with(groupID, j.MemberID == "" && !badTimeout, func(g *group.Group, now time.Time) {
		switch {
		case badTimeout:
			refused = kerr.InvalidSessionTimeout
		case g == nil:
			refused = kerr.UnknownMemberID
		default:
			g.Join(j, reply, now)
		}
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		refuse(j.MemberID, err)
	}
}

// Sync handles a SyncGroup; reply is called once, now or when the leader's assignment is stored.
func (c *Coordinator) Sync(groupID string, s *group.Sync, reply func(group.Synced)) {
	if groupID == "" {
		reply(group.Synced{Code: kerr.InvalidGroupID.Code})
		return
	}
	err := c.with(groupID, false, func(g *group.Group, now time.Time) {
		if g == nil {
			reply(group.Synced{Code: kerr.UnknownMemberID.Code})
			return
		}
		g.Sync(s, reply, now)
	})
	switch err {
	case nil:
	case kerr.CoordinatorLoadInProgress:
		// The rebalance was lost with the coordinator before: members begin anew.
		reply(group.Synced{Code: kerr.RebalanceInProgress.Code})
	default:
		reply(group.Synced{Code: err.Code})
	}
}

// Heartbeat handles a Heartbeat.
func (c *Coordinator) Heartbeat(groupID string, who group.Identity, generation int32) (code int16) {
	if groupID == "" {
		return kerr.InvalidGroupID.Code
	}
	err := c.with(groupID, false, func(g *group.Group, now time.Time) {
		if code = kerr.UnknownMemberID.Code; g != nil {
			code = g.Heartbeat(who, generation, now)
		}
	})
	if err != nil && err != kerr.CoordinatorLoadInProgress { // it cannot be known yet
		return err.Code
	}
	return code
}

// Leave handles a LeaveGroup: a code for the whole or, if that is 0, one for each of who.
func (c *Coordinator) Leave(groupID string, who []group.Departure) (code int16, codes []int16) {
	if groupID == "" {
		return kerr.InvalidGroupID.Code, nil
	}
	err := c.with(groupID, false, func(g *group.Group, now time.Time) {
		if g == nil {
			codes = slices.Repeat([]int16{kerr.UnknownMemberID.Code}, len(who))
			return
		}
		codes = g.Leave(who, now)
	})
	if err != nil {
		return err.Code, nil
	}
	return 0, codes
}

// Commit handles an OffsetCommit; reply is called once, with a code for each offset.
func (c *Coordinator) Commit(groupID string, commit *group.Commit, reply func([]int16)) {
	refuse := func(err *kerr.Error) { reply(slices.Repeat([]int16{err.Code}, len(commit.Offsets))) }
	err := c.with(groupID, commit.Generation < 0, func(g *group.Group, now time.Time) {
		if g == nil {
			refuse(kerr.IllegalGeneration)
			return
		}
		g.Commit(commit, reply, now)
	})
	if err != nil {
		refuse(err)
	}
}

// CheckTxn returns why a group's offsets cannot be committed in a transaction here; nil if they may be.
func (c *Coordinator) CheckTxn(groupID string) *kerr.Error {
	if groupID == "" {
		return kerr.InvalidGroupID
	}
	p := c.partitionOf(groupID)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checkLocked()
}

// CommitTxn handles a TxnOffsetCommit, whose transaction is verified; reply is called once, with a code for each offset.
func (c *Coordinator) CommitTxn(groupID string, commit *group.Commit, reply func([]int16)) {
	err := c.with(groupID, true, func(g *group.Group, now time.Time) { g.Commit(commit, reply, now) })
	if err != nil {
		reply(slices.Repeat([]int16{err.Code}, len(commit.Offsets)))
	}
}

// Fetch handles an OffsetFetch of one group; nil partitions are all.
func (c *Coordinator) Fetch(groupID string, partitions []topic.Partition, requireStable bool) (code int16, list []group.FetchedOffset) {
	err := c.with(groupID, false, func(g *group.Group, _ time.Time) {
		if g != nil {
			list = g.Fetch(partitions, requireStable)
			return
		}
		for _, p := range partitions {
			list = append(list, group.NoOffset(p))
		}
	})
	if err != nil {
		return err.Code, nil
	}
	return 0, list
}

// DeleteOffsets handles an OffsetDelete: a code for the whole or, if that is 0, one for each of partitions.
func (c *Coordinator) DeleteOffsets(groupID string, partitions []topic.Partition) (code int16, codes []int16) {
	if groupID == "" {
		return kerr.InvalidGroupID.Code, nil
	}
	err := c.with(groupID, false, func(g *group.Group, now time.Time) {
		if code = kerr.GroupIDNotFound.Code; g != nil {
			code, codes = g.DeleteOffsets(partitions, now)
		}
	})
	if err != nil {
		return err.Code, nil
	}
	return code, codes
}

// Delete handles DeleteGroups for one group.
func (c *Coordinator) Delete(groupID string) (code int16) {
	err := c.with(groupID, false, func(g *group.Group, now time.Time) {
		if code = kerr.GroupIDNotFound.Code; g != nil {
			code = g.Delete(now)
		}
	})
	if err != nil {
		return err.Code
	}
	return code
}

// Describe handles DescribeGroups for one group. One that does not exist is Dead, without an error.
func (c *Coordinator) Describe(groupID string) (code int16, s group.Summary) {
	s = group.Summary{ID: groupID, State: group.Dead}
	err := c.with(groupID, false, func(g *group.Group, _ time.Time) {
		if g != nil {
			s = g.Describe()
		}
	})
	if err != nil {
		return err.Code, s
	}
	return 0, s
}

// List handles ListGroups: the groups in states, of any if states is empty. The code is
// COORDINATOR_LOAD_IN_PROGRESS if some groups are still to come.
func (c *Coordinator) List(states []string) (code int16, list []group.Summary) {
	for _, p := range c.partitions {
		p.mu.Lock()
		if p.owner == loading {
			code = kerr.CoordinatorLoadInProgress.Code
		}
		for _, e := range p.groups {
			state := e.State().String()
			if len(states) == 0 || slices.ContainsFunc(states, func(s string) bool { return strings.EqualFold(s, state) }) {
				list = append(list, e.Overview())
			}
		}
		p.mu.Unlock()
	}
	return code, list
}
