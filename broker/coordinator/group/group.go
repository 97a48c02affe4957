package group

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Config bounds groups.
type Config struct {
	InitialRebalanceDelay time.Duration // group.initial.rebalance.delay.ms
	MaxSize               int           // group.max.size
	MinSessionTimeoutMs   int32         // group.min.session.timeout.ms
	MaxSessionTimeoutMs   int32         // group.max.session.timeout.ms
	MaxMetadata           int           // offset.metadata.max.bytes, in UTF-16 units as Kafka counts
	// NewID returns what makes a member id unique.
	NewID func() string
}

// consumerType is the protocol type of consumers, whose metadata the broker looks into.
const consumerType = "consumer"

// newMemberTimeout bounds how long a member that never got an answer may wait in JoinGroup
// (GroupCoordinator.NewMemberJoinTimeoutMs): it has no id to send heartbeats with.
const newMemberTimeout = 5 * time.Minute

// member is a member of a group.
type member struct {
	id               string
	instance         *string
	clientID         string
	clientHost       string
	sessionTimeout   time.Duration
	rebalanceTimeout time.Duration
	protocols        []Protocol
	assignment       []byte

	joining Caller    // waits in JoinGroup; nil: does not
	syncing Caller    // waits in SyncGroup; nil: does not
	isNew   bool      // never had an answer to its JoinGroup
	expires time.Time // zero: no heartbeat is expected
}

// initialJoin is the wait for more members of a group that was empty (InitialDelayedJoin).
type initialJoin struct {
	delay     time.Duration
	remaining time.Duration // by how much it may be extended
}

// Group is one group.
//
// Invariants:
//   - the generation never decreases, and a member of a Stable group has that generation's assignment
//   - leader names a member if there are members
//   - joiners counts the members that wait in JoinGroup, supported the members that know a protocol
//   - whoever waits is answered once, if only by Superseded: by an event, or by Unload
type Group struct {
	ID string

	config       *Config
	state        State
	since        int64 // when state began, ms since 1970; -1: not known
	generation   int32
	protocolType *string
	protocol     *string
	leader       string

	members   map[string]*member
	order     []*member // members, oldest first
	instances map[string]string
	pending   map[string]time.Time // ids that were given out (KIP-394), and when they expire
	supported map[string]int
	joiners   int
	unsynced  map[string]bool // members that have not sent SyncGroup in this generation

	joinDeadline time.Time // zero: no rebalance waits
	syncDeadline time.Time // zero: no SyncGroup is waited for
	initial      *initialJoin
	newMember    bool // came while a group's first rebalance waits

	subscribed map[string]bool // topics of a consumer group; nil: not known

	offsets    map[topic.Partition]stored
	committing []*commit // those that are being appended
	txns       txns

	ticket  int
	tickets map[int]ticket
	alarm   time.Time
	fx      Effects
}

// ticket is an append that is under way.
type ticket struct {
	generation  int32
	assignments map[string][]byte // a leader's; nil: none
	replaced    *replacement
	commit      *commit
}

// New returns an empty group.
func New(id string, config *Config, now time.Time) *Group {
	return &Group{
		ID: id, config: config, since: now.UnixMilli(),
		members: map[string]*member{}, instances: map[string]string{}, pending: map[string]time.Time{},
		supported: map[string]int{}, unsynced: map[string]bool{},
		offsets: map[topic.Partition]stored{}, tickets: map[int]ticket{},
	}
}

// State returns the state.
func (g *Group) State() State { return g.state }

// Take returns the effects of the events since the last call.
func (g *Group) Take() Effects {
	fx := g.fx
	g.fx = Effects{}
	return fx
}

// Alarm returns when Tick is due at the latest; zero: at no time.
func (g *Group) Alarm() time.Time { return g.alarm }

func (g *Group) at(t time.Time) {
	if g.alarm.IsZero() || t.Before(g.alarm) {
		g.alarm = t
	}
}

func (g *Group) become(s State, now time.Time) {
	if !s.mayFollow(g.state) {
		panic(fmt.Sprintf("group %s: %s cannot follow %s", g.ID, s, g.state))
	}
	g.state, g.since = s, now.UnixMilli()
}

// typed returns the protocol type, "" if there is none.
func (g *Group) typed() string { return deref(g.protocolType) }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// add makes m a member.
func (g *Group) add(m *member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = &protocolType
	}
	if m.instance != nil {
		g.instances[*m.instance] = m.id
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members[m.id] = m
	g.order = append(g.order, m)
	g.count(m, 1)
	delete(g.pending, m.id)
}

// remove ends the membership, or the pending id, of id. A member that still waits is told that it is none.
func (g *Group) remove(id string) {
	delete(g.pending, id)
	delete(g.unsynced, id)
	m := g.members[id]
	if m == nil {
		return
	}
	g.answerJoin(m, refusal("", kerr.UnknownMemberID))
	g.answerSync(m, Synced{Code: kerr.UnknownMemberID.Code})
	g.count(m, -1)
	delete(g.members, id)
	g.order = slices.DeleteFunc(g.order, func(o *member) bool { return o == m })
	if m.instance != nil {
		delete(g.instances, *m.instance)
	}
	if g.leader == id {
		if g.leader = ""; len(g.order) > 0 {
			g.leader = g.order[0].id
		}
	}
}

func (g *Group) count(m *member, by int) {
	for i := range m.protocols {
		name := m.protocols[i].Name
		if g.supported[name] += by; g.supported[name] == 0 {
			delete(g.supported, name)
		}
	}
}

// update gives m what it says now.
func (g *Group) update(m *member, protocols []Protocol, rebalance, session time.Duration) {
	g.count(m, -1)
	m.protocols, m.rebalanceTimeout, m.sessionTimeout = protocols, rebalance, session
	g.count(m, 1)
}

// heard restarts m's session.
func (g *Group) heard(m *member, now time.Time) { g.expect(m, now.Add(m.sessionTimeout)) }

func (g *Group) expect(m *member, by time.Time) {
	m.expires = by
	g.at(by)
}

// check returns why who is no member: an instance id that belongs to another member id, or to none, or
// an unknown member id.
func (g *Group) check(who Identity) *kerr.Error {
	if who.InstanceID != nil {
		switch id, known := g.instances[*who.InstanceID]; {
		case !known:
			return kerr.UnknownMemberID
		case id != who.MemberID:
			return kerr.FencedInstanceID
		}
	}
	if g.members[who.MemberID] == nil {
		return kerr.UnknownMemberID
	}
	return nil
}

// supports reports whether a member that knows protocols fits in.
func (g *Group) supports(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	if g.protocolType == nil || *g.protocolType != protocolType {
		return false
	}
	return slices.ContainsFunc(protocols, func(p Protocol) bool { return g.supported[p.Name] == len(g.members) })
}

// elect returns the protocol with most votes: each member votes for its first one that all know.
func (g *Group) elect() string {
	votes := map[string]int{}
	best := ""
	for _, m := range g.order {
		i := slices.IndexFunc(m.protocols, func(p Protocol) bool { return g.supported[p.Name] == len(g.members) })
		if i < 0 {
			continue
		}
		name := m.protocols[i].Name
		if votes[name]++; votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// rebalanceTimeout is the longest of the members'.
func (g *Group) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.order {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

func (m *member) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return m.protocols[i].Metadata
		}
	}
	return nil
}

// matches reports whether protocols are the ones that m gave, in the same order and with the same bytes.
func (m *member) matches(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// described lists the members for the leader.
func (g *Group) described() []JoinedMember {
	list := make([]JoinedMember, len(g.order))
	for i, m := range g.order {
		list[i] = JoinedMember{ID: m.id, InstanceID: m.instance, Metadata: m.metadata(deref(g.protocol))}
	}
	return list
}

func (g *Group) answerJoin(m *member, j Joined) {
	if m.joining == nil {
		return
	}
	g.fx.Joins = append(g.fx.Joins, JoinAnswer{m.joining, j})
	m.joining = nil
	g.joiners--
}

func (g *Group) answerSync(m *member, s Synced) bool {
	if m.syncing == nil {
		return false
	}
	g.fx.Syncs = append(g.fx.Syncs, SyncAnswer{m.syncing, s})
	m.syncing = nil
	return true
}

// parkJoin lets m wait for the rebalance. A request of m that waits already gives way and is never answered: it belongs
// to a connection that the member has given up. If it does not, an answer would have two clients with one id take each
// other's place for ever.
func (g *Group) parkJoin(m *member, from Caller) {
	g.answerJoin(m, Joined{Superseded: true})
	m.joining = from
	g.joiners++
}

// refusal is the answer to a Join that fails.
func refusal(memberID string, err *kerr.Error) Joined {
	return Joined{Code: err.Code, MemberID: memberID, Generation: -1}
}

// issue opens a ticket for an append.
func (g *Group) issue(t ticket) int {
	g.ticket++
	g.tickets[g.ticket] = t
	return g.ticket
}
