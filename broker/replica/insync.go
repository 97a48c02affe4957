package replica

import (
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/replica/isr"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Propagator makes what a leader has found about its ISR known to the cluster.
type Propagator interface {
	// Propose asks for a change, and returns at once. Unless the Propagator is closed before,
	// Proposal.Done is called once, on another goroutine. A Propagator tries again by itself what
	// failed without an answer.
	Propose(p Proposal)
}

// Proposal is an ISR that a leader asks for, in place of the one that the partition has at Version.
type Proposal struct {
	topic.Partition
	TopicID         topic.ID // zero: none
	Leader          int32
	LeaderEpoch     int32
	ControllerEpoch int32 // of the controller that appointed the leader
	Version         int32 // partition epoch
	ISR             []int32
	Done            func(Outcome)
}

// Outcome is what has become of a Proposal.
type Outcome struct {
	Verdict Verdict
	// LeaderEpoch, Version and ISR are the partition's now, if Verdict is Accepted.
	LeaderEpoch, Version int32
	ISR                  []int32
}

// Verdict says what an Outcome is.
type Verdict int8

const (
	// Accepted: the ISR is now as the Outcome says, which normally is as proposed.
	Accepted Verdict = iota
	// Rejected: the ISR is what it was; it may be proposed again.
	Rejected
	// Overtaken: the partition's state is another than the leader knows. The controller has changed it
	// and tells by LeaderAndIsr; until then the leader has to expect either ISR.
	Overtaken
)

// expand proposes that a follower joins the ISR, if it still may. Fetches and appends, which hold mu
// shared, raise the high watermark; with mu held the follower cannot fall below it before it counts as
// a member.
func (p *Partition) expand(follower int32) {
	if p.manager.opts.Propagator == nil || !p.manager.opts.Alive(follower) {
		return
	}
	p.mu.Lock()
	if !p.leadsLocked() || !p.mu.lead.MayJoin(follower, p.Log().HighWatermark()) {
		p.mu.Unlock()
		return
	}
	before := p.mu.lead.ISR()
	proposal := p.proposalLocked(p.mu.lead.ProposeAdding(follower))
	p.mu.Unlock()
	p.logger().WithField("isr", before).WithField("new", proposal.ISR).Info("Expanding ISR")
	p.manager.opts.Propagator.Propose(proposal)
}

// shrink proposes that the followers that have fallen behind leave the ISR.
func (p *Partition) shrink(now time.Duration) {
	p.mu.RLock()
	lagging := p.laggingLocked(now)
	p.mu.RUnlock()
	if lagging == nil {
		return
	}
	p.mu.Lock()
	if lagging = p.laggingLocked(now); lagging == nil {
		p.mu.Unlock()
		return
	}
	before, end, hw := p.mu.lead.ISR(), p.Log().EndOffset(), p.Log().HighWatermark()
	proposal := p.proposalLocked(p.mu.lead.ProposeDropping(lagging))
	p.mu.Unlock()
	p.logger().WithFields(logrus.Fields{"isr": before, "new": proposal.ISR, "highWatermark": hw, "end": end}).
		Infof("Shrinking ISR, out of sync are %+v", lagging)
	p.manager.opts.Propagator.Propose(proposal)
}

// laggingLocked requires mu, shared at least.
func (p *Partition) laggingLocked(now time.Duration) []isr.Member {
	if !p.leadsLocked() {
		return nil
	}
	p.hw.Lock()
	defer p.hw.Unlock()
	return p.mu.lead.Lagging(p.Log().EndOffset(), now)
}

// proposalLocked requires mu.
func (p *Partition) proposalLocked(members []int32) Proposal {
	tracker, epoch := p.mu.lead, p.mu.leaderEpoch
	return Proposal{
		Partition: p.Partition, TopicID: p.Log().TopicID(),
		Leader: p.mu.leader, LeaderEpoch: epoch, ControllerEpoch: p.mu.controllerEpoch, Version: tracker.Version(),
		ISR:  members,
		Done: func(o Outcome) { p.decided(tracker, epoch, o) },
	}
}

// decided takes the outcome of the proposal that tracker has pending. If there was a LeaderAndIsr since,
// there is another tracker, and the outcome is of no interest any more.
func (p *Partition) decided(tracker *isr.Tracker, epoch int32, o Outcome) {
	p.mu.Lock()
	if p.mu.lead != tracker {
		p.mu.Unlock()
		return
	}
	raised := false
	switch {
	case o.Verdict == Rejected:
		tracker.Withdraw()
	case o.Verdict == Accepted && o.LeaderEpoch == epoch && tracker.Accept(slices.Clone(o.ISR), o.Version):
		p.logger().WithField("isr", o.ISR).WithField("version", o.Version).Info("ISR updated")
		raised = p.raiseHighWatermarkLocked()
	}
	p.mu.Unlock()
	if raised { // otherwise nobody who waits has waited for this: to find that out of a fetch of thousands takes its time
		p.manager.Appended(p.Partition)
	}
}

// watchLag looks for lagging followers every half of LagTimeMax, so that one is found at the latest after
// one and a half of it.
func (m *Manager) watchLag() {
	tick := time.NewTicker(max(m.opts.LagTimeMax/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		now := m.now()
		for _, p := range m.all() {
			p.shrink(now)
		}
	}
}

// all returns the replicas of this broker, in no order.
func (m *Manager) all() []*Partition {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Collect(maps.Values(m.mu.partitions))
}

// logger returns a logger with the partition's fields, made anew each time: it is needed seldom.
func (p *Partition) logger() logrus.FieldLogger {
	return p.manager.opts.Logger.WithFields(logrus.Fields{"topic": p.Topic, "partition": p.Index})
}
