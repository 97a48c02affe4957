package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"time"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
)

// TestRandomHistories lets members that may do anything loose on a group, and checks what must hold:
//
//   - whoever asks is answered once, and all are when the group is unloaded
//   - generations do not go back, and there is one at a time: nobody is told of another than the group's
//   - in a Stable group every member holds what its leader has assigned for that generation, and that is stored
//   - a committed offset is never lost and never goes back, also when the group is read again from its records
func TestRandomHistories(t *testing.T) {
	histories := uint64(2000)
	if testing.Short() {
		histories = 200
	}
	first := seed.Of(t)
	for i := range histories {
		s := first + i
		h := newHistory(s)
		if err := h.run(300); err != nil {
			t.Fatalf("%v; replay with -seed %d", err, s)
		}
	}
}

// history is a group, its log and its clients.
type history struct {
	rand   *rand.Rand
	config Config
	ids    int
	now    time.Time
	group  *Group

	log      []logged // of all coordinators
	end      int64    // base offset of the next batch
	appends  []pendingAppend
	answers  map[string]int // callers and how often each was answered
	clients  []*client
	highest  int32
	promised map[topic.Partition]promise // offsets of which a client was told that they are committed
	calls    int
	commits  map[string]*Commit
	at       map[string]int64            // base offset of a commit's batch
	assigned map[int32]map[string]string // what leaders have assigned, by generation
}

type logged struct {
	base    int64
	records []Record
}

type pendingAppend struct {
	group  *Group
	ticket int
	base   int64
	fails  bool
}

type promise struct{ offset, base int64 }

// client is a member as it sees itself.
type client struct {
	id         string
	instance   *string
	generation int32
	leads      bool
	members    []string
}

func newHistory(seed uint64) *history {
	h := &history{
		rand: rand.New(rand.NewPCG(seed, 1)), now: time.UnixMilli(1_000_000), answers: map[string]int{},
		promised: map[topic.Partition]promise{}, commits: map[string]*Commit{}, at: map[string]int64{},
		assigned: map[int32]map[string]string{},
	}
	h.config = Config{
		InitialRebalanceDelay: time.Duration(h.rand.IntN(3)) * time.Second, MaxSize: 2 + h.rand.IntN(5), MaxMetadata: 10,
		NewID: func() string { h.ids++; return fmt.Sprint(h.ids) },
	}
	h.group = New("g", &h.config, h.now)
	for i := range 5 {
		c := &client{}
		if i >= 3 {
			name := fmt.Sprint("i", i)
			c.instance = &name
		}
		h.clients = append(h.clients, c)
	}
	return h
}

func (h *history) run(steps int) error {
	for range steps {
		h.step()
		if err := h.settle(); err != nil {
			return err
		}
	}
	h.group.Unload(h.now)
	if err := h.settle(); err != nil {
		return err
	}
	for len(h.appends) > 0 {
		h.finishAppend()
		if err := h.settle(); err != nil {
			return err
		}
	}
	for caller, n := range h.answers {
		if n != 1 {
			return fmt.Errorf("%s was answered %d times", caller, n)
		}
	}
	return nil
}

func (h *history) caller(what string, c int) string {
	h.calls++
	name := fmt.Sprintf("%s-%d-%d", what, c, h.calls)
	h.answers[name] = 0
	return name
}

func (h *history) step() {
	i := h.rand.IntN(len(h.clients))
	c := h.clients[i]
	switch n := h.rand.IntN(100); {
	case n < 30:
		j := &Join{
			MemberID: c.id, InstanceID: c.instance, ClientID: "c", ProtocolType: "consumer",
			SessionTimeoutMs: 10000, RebalanceTimeoutMs: int32(5000 + h.rand.IntN(20000)),
			RequireKnownID: c.instance == nil && h.rand.IntN(2) == 0, MaySkipAssignment: h.rand.IntN(2) == 0,
			Protocols: []Protocol{{"range", []byte{byte(h.rand.IntN(2))}}, {"rr", nil}}[h.rand.IntN(2):],
		}
		h.group.Join(j, h.caller("join", i), h.now)
	case n < 50:
		s := &Sync{MemberID: c.id, InstanceID: c.instance, Generation: c.generation, Assignments: map[string][]byte{}}
		if c.leads {
			for _, id := range c.members {
				s.Assignments[id] = []byte(fmt.Sprintf("%d/%s", c.generation, id))
			}
		}
		h.group.Sync(s, h.caller("sync", i), h.now)
	case n < 60:
		if code := h.group.Heartbeat(Identity{c.id, c.instance}, c.generation, h.now); code == kerr.UnknownMemberID.Code || code == kerr.FencedInstanceID.Code {
			c.id = ""
		}
	case n < 75:
		name := h.caller("commit", i)
		commit := &Commit{Identity: Identity{c.id, c.instance}, Generation: c.generation}
		if c.id == "" {
			commit.Identity, commit.Generation = Identity{}, -1
		}
		p := topic.Partition{Topic: "t", Index: int32(h.rand.IntN(2))}
		commit.Offsets = []PartitionOffset{{p, Offset{Offset: int64(h.calls), LeaderEpoch: -1, ExpireTimestamp: -1}}}
		h.commits[name] = commit
		h.group.Commit(commit, name, h.now)
	case n < 78:
		h.group.Leave([]Departure{{Identity{c.id, c.instance}, ""}}, h.now)
	case n < 90:
		h.finishAppend()
	case n < 98:
		h.now = h.now.Add(time.Duration(h.rand.IntN(4000)) * time.Millisecond)
		h.group.Tick(h.now)
	default:
		h.moveOn()
	}
}

// finishAppend ends one of the appends that are under way. One that fails is not in the log.
func (h *history) finishAppend() {
	if len(h.appends) == 0 {
		return
	}
	i := h.rand.IntN(len(h.appends))
	a := h.appends[i]
	h.appends = slices.Delete(h.appends, i, i+1)
	code := int16(0)
	if a.fails {
		code = kerr.NotEnoughReplicas.Code
	}
	a.group.Appended(a.ticket, a.base, code, h.now)
	if a.group != h.group {
		fx := a.group.Take()
		h.count(&fx)
	}
}

// moveOn lets another coordinator take over, which reads the log.
func (h *history) moveOn() {
	old := h.group
	old.Unload(h.now)
	fx := old.Take()
	h.count(&fx)
	l := NewLoading(&h.config)
	for _, batch := range h.log {
		for _, r := range batch.records {
			if err := l.Add(r.Key, r.Value, &Place{Batch: batch.base}, h.now); err != nil {
				panic(err)
			}
		}
	}
	groups := l.Groups(h.now)
	if h.group = groups["g"]; h.group == nil {
		h.group = New("g", &h.config, h.now)
	}
	// A rebalance that was under way is lost, and its generation number with it.
	h.highest = h.group.generation
	for g := range h.assigned {
		if g > h.highest {
			delete(h.assigned, g)
		}
	}
	h.group.Begin(h.now)
}

// count counts answers, without a look at them.
func (h *history) count(fx *Effects) {
	for _, a := range fx.Joins {
		h.answers[a.To.(string)]++
	}
	for _, a := range fx.Syncs {
		h.answers[a.To.(string)]++
	}
	for _, a := range fx.Commits {
		h.answers[a.To.(string)]++
		h.noteCommit(&a)
	}
}

// settle takes the effects, tells the clients, and checks the group.
func (h *history) settle() error {
	fx := h.group.Take()
	h.count(&fx)
	for _, a := range fx.Appends {
		base := h.end
		h.end++
		fails := a.Ticket != 0 && h.rand.IntN(8) == 0
		if !fails {
			h.log = append(h.log, logged{base, a.Records})
		}
		if a.Ticket != 0 {
			h.appends = append(h.appends, pendingAppend{h.group, a.Ticket, base, fails})
		}
		if t, ok := h.group.tickets[a.Ticket]; ok && t.commit != nil {
			h.at[t.commit.from.(string)] = base
		}
	}
	for _, a := range fx.Joins {
		if err := h.told(&a); err != nil {
			return err
		}
	}
	return h.check()
}

func (h *history) clientOf(to Caller) *client {
	i, _ := strconv.Atoi(strings.Split(to.(string), "-")[1])
	return h.clients[i]
}

func (h *history) told(a *JoinAnswer) error {
	if a.Superseded {
		return nil // nobody hears of it
	}
	c := h.clientOf(a.To)
	switch a.Code {
	case 0:
		if a.Generation != h.group.generation && h.group.state != Dead {
			return fmt.Errorf("%s is told of generation %d, the group has %d", a.To, a.Generation, h.group.generation)
		}
		c.id, c.generation, c.leads, c.members = a.MemberID, a.Generation, a.Leader == a.MemberID && !a.Skip, nil
		for _, m := range a.Members {
			c.members = append(c.members, m.ID)
		}
	case kerr.MemberIDRequired.Code:
		c.id = a.MemberID
	case kerr.UnknownMemberID.Code, kerr.FencedInstanceID.Code:
		c.id = ""
	}
	return nil
}

// noteCommit notes what a client was promised.
func (h *history) noteCommit(a *CommitAnswer) {
	name := a.To.(string)
	if a.Codes[0] != 0 {
		return
	}
	o := &h.commits[name].Offsets[0]
	if had, ok := h.promised[o.Partition]; !ok || had.base < h.at[name] {
		h.promised[o.Partition] = promise{o.Offset.Offset, h.at[name]}
	}
}

func (h *history) check() error {
	g := h.group
	if g.generation < h.highest {
		return fmt.Errorf("generation %d follows %d", g.generation, h.highest)
	}
	h.highest = g.generation
	if len(g.members) != len(g.order) || len(g.members) > 0 && g.members[g.leader] == nil {
		return fmt.Errorf("%d members, %d in order, leader %q", len(g.members), len(g.order), g.leader)
	}
	joiners := 0
	for _, m := range g.order {
		if m.joining != nil {
			joiners++
		}
		if g.members[m.id] != m || m.instance != nil && g.instances[*m.instance] != m.id {
			return fmt.Errorf("member %s is not where it belongs", m.id)
		}
		if g.state == Stable && len(m.assignment) > 0 && m.instance == nil && string(m.assignment) != fmt.Sprintf("%d/%s", g.generation, m.id) {
			return fmt.Errorf("member %s of generation %d holds %s", m.id, g.generation, m.assignment)
		}
	}
	if joiners != g.joiners {
		return fmt.Errorf("%d members wait to join, counted %d", joiners, g.joiners)
	}
	if g.state == Dead {
		return nil
	}
	for p, want := range h.promised {
		o, ok := g.offsets[p]
		if !ok || o.batch < want.base || o.batch == want.base && o.Offset.Offset != want.offset {
			return fmt.Errorf("offset of %s is %+v (there is one: %v), a client was promised %d in the batch at %d", p, o, ok, want.offset, want.base)
		}
	}
	return nil
}
