package group

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
)

// TestGroup replays testdata: each command is an event, what it prints are the effects and the state after it.
func TestGroup(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.Contains(path, "/fuzz") {
			return
		}
		e := newEnv()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			e.event(args{t, d})
			return e.effects() + e.status()
		})
	})
}

// env is a group with a clock.
type env struct {
	config Config
	ids    int
	start  time.Time
	now    time.Time
	group  *Group
	values map[string][]byte // what is stored
	extra  strings.Builder
	notes  []string // since the last command notes
}

func newEnv() *env {
	e := &env{start: time.UnixMilli(1000_000), values: map[string][]byte{}}
	e.now = e.start
	e.config = Config{
		InitialRebalanceDelay: 3 * time.Second, MaxSize: 4, MinSessionTimeoutMs: 6000, MaxSessionTimeoutMs: 60000, MaxMetadata: 10,
		NewID: func() string { e.ids++; return strconv.Itoa(e.ids) },
	}
	e.group = New("g", &e.config, e.now)
	return e
}

// args are the arguments of a command.
type args struct {
	t *testing.T
	*datadriven.TestData
}

// text returns an argument, "" without one.
func (a args) text(key string) string {
	var v string
	a.MaybeScanArgs(a.t, key, &v)
	return v
}

// opt returns an argument, nil without one.
func (a args) opt(key string) *string {
	if !a.HasArg(key) {
		return nil
	}
	v := a.text(key)
	return &v
}

// number returns an argument, or otherwise without one.
func (a args) number(key string, otherwise int) int {
	if v, err := strconv.Atoi(a.text(key)); err == nil {
		return v
	}
	return otherwise
}

// list returns the elements of an argument, which slashes part.
func (a args) list(key string) []string { return strings.Split(a.text(key), "/") }

// who returns the member that sends the command.
func (a args) who() Identity {
	return Identity{MemberID: a.text("member"), InstanceID: a.opt("instance")}
}

func (e *env) event(a args) {
	g := e.group
	switch a.Cmd {
	case "join":
		e.join(a)
	case "sync":
		e.sync(a)
	case "heartbeat":
		e.say(g.Heartbeat(a.who(), int32(a.number("gen", 1)), e.now))
	case "leave":
		for _, code := range g.Leave([]Departure{{a.who(), a.text("reason")}}, e.now) {
			e.say(code)
		}
	case "commit":
		e.commit(a)
	case "fetch":
		for _, o := range g.Fetch(nil, a.HasArg("stable")) {
			fmt.Fprintf(&e.extra, "%s=%d %s\n", o.Partition, o.Offset, name(o.Code))
		}
	case "appended":
		g.Appended(a.number("ticket", 0), int64(a.number("base", 0)), int16(a.number("code", 0)), e.now)
	case "advance":
		e.advance(a)
	case "expire":
		g.Expire(time.Duration(a.number("retention", 60))*time.Second, e.now)
	case "delete":
		e.say(g.Delete(e.now))
	case "delete-offsets":
		code, codes := g.DeleteOffsets([]topic.Partition{partition(a.text("partition"))}, e.now)
		e.say(append([]int16{code}, codes...)...)
	case "unload":
		g.Unload(e.now)
	case "reload":
		e.reload(a)
	case "notes":
		for _, note := range e.notes {
			fmt.Fprintln(&e.extra, note)
		}
		e.notes = nil
	case "limit":
		e.config.MaxSize = a.number("size", 4)
	default:
		a.Fatalf(a.t, "unknown command %s", a.Cmd)
	}
}

// say prints error codes as a line of what the command prints.
func (e *env) say(codes ...int16) {
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = name(code)
	}
	fmt.Fprintln(&e.extra, strings.Join(names, " "))
}

func (e *env) join(a args) {
	version, who := a.number("v", 9), a.who()
	j := &Join{
		MemberID: who.MemberID, InstanceID: who.InstanceID, ClientID: a.text("client"), ClientHost: "/h", ProtocolType: "consumer",
		SessionTimeoutMs: int32(a.number("session", 10000)), RebalanceTimeoutMs: int32(a.number("rebalance", 30000)),
		Reason:         a.text("reason"),
		RequireKnownID: version >= 4 && who.InstanceID == nil, MaySkipAssignment: version >= 9,
	}
	if typ := a.opt("type"); typ != nil {
		j.ProtocolType = *typ
	}
	for _, p := range a.list("protocols") {
		if name, metadata, _ := strings.Cut(p, ":"); name != "" {
			j.Protocols = append(j.Protocols, Protocol{name, []byte(metadata)})
		}
	}
	e.group.Join(j, "join-"+a.text("as"), e.now)
}

func (e *env) sync(a args) {
	who := a.who()
	s := &Sync{MemberID: who.MemberID, InstanceID: who.InstanceID, Generation: int32(a.number("gen", 1)), Protocol: a.opt("protocol"),
		Assignments: map[string][]byte{}}
	for _, assigned := range a.list("assign") {
		if id, what, ok := strings.Cut(assigned, ":"); ok {
			s.Assignments[id] = []byte(what)
		}
	}
	e.group.Sync(s, "sync-"+a.text("as"), e.now)
}

func (e *env) commit(a args) {
	c := &Commit{Identity: a.who(), Generation: int32(a.number("gen", -1))}
	for _, o := range a.list("offsets") {
		p, offset, _ := strings.Cut(o, ":")
		n, _ := strconv.Atoi(offset)
		c.Offsets = append(c.Offsets, PartitionOffset{partition(p), Offset{
			Offset: int64(n), LeaderEpoch: -1, Metadata: a.text("metadata"), CommitTimestamp: e.now.UnixMilli(),
			ExpireTimestamp: int64(a.number("expire", -1)),
		}})
	}
	e.group.Commit(c, "commit-"+a.text("as"), e.now)
}

// advance has time go by, and rings each alarm that is due meanwhile.
func (e *env) advance(a args) {
	by, err := time.ParseDuration(a.CmdArgs[0].Key)
	if err != nil {
		a.Fatalf(a.t, "%v", err)
	}
	until := e.now.Add(by)
	for alarm := e.group.Alarm(); !alarm.IsZero() && !alarm.After(until); alarm = e.group.Alarm() {
		e.now = alarm
		e.group.Tick(e.now)
	}
	e.now = until
}

// reload makes a group of what is stored, with the offsets it had.
func (e *env) reload(a args) {
	again, err := decodeGroup("g", e.values["g"], &e.config, e.now)
	if err != nil {
		a.Fatalf(a.t, "%v", err)
	}
	again.offsets = e.group.offsets
	again.Begin(e.now)
	e.group = again
}

func partition(s string) topic.Partition {
	name, index, _ := strings.Cut(s, "-")
	n, _ := strconv.Atoi(index)
	return topic.Partition{Topic: name, Index: int32(n)}
}

func name(code int16) string {
	if code == 0 {
		return "NONE"
	}
	return kerr.TypedErrorForCode(code).Message
}

func (e *env) effects() string {
	var b strings.Builder
	b.WriteString(e.extra.String())
	e.extra.Reset()
	fx := e.group.Take()
	e.notes = append(e.notes, fx.Notes...)
	for _, j := range fx.Joins {
		if j.Superseded {
			fmt.Fprintf(&b, "-> %s: superseded\n", j.To)
			continue
		}
		fmt.Fprintf(&b, "-> %s: %s", j.To, name(j.Code))
		if j.MemberID != "" {
			fmt.Fprintf(&b, " member=%s", j.MemberID)
		}
		if j.Generation >= 0 {
			fmt.Fprintf(&b, " gen=%d protocol=%s leader=%s", j.Generation, deref(j.Protocol), j.Leader)
		}
		if j.Skip {
			b.WriteString(" skip")
		}
		for _, m := range j.Members {
			fmt.Fprintf(&b, " [%s %s]", m.ID, m.Metadata)
		}
		b.WriteByte('\n')
	}
	for _, s := range fx.Syncs {
		if s.Superseded {
			fmt.Fprintf(&b, "-> %s: superseded\n", s.To)
			continue
		}
		fmt.Fprintf(&b, "-> %s: %s\n", s.To, strings.TrimRight(name(s.Code)+" "+string(s.Assignment), " "))
	}
	for _, c := range fx.Commits {
		fmt.Fprintf(&b, "-> %s:", c.To)
		for _, code := range c.Codes {
			fmt.Fprintf(&b, " %s", name(code))
		}
		b.WriteByte('\n')
	}
	for _, a := range fx.Appends {
		fmt.Fprintf(&b, "append %d:", a.Ticket)
		for _, r := range a.Records {
			e.record(&b, r)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (e *env) record(b *strings.Builder, r Record) {
	k, err := decodeKey(r.Key)
	switch {
	case err != nil:
		fmt.Fprintf(b, " %v", err)
	case r.Value == nil && k.offset:
		fmt.Fprintf(b, " no offset of %s", k.partition)
	case r.Value == nil:
		b.WriteString(" no group")
	case k.offset:
		o, _ := decodeOffset(r.Value)
		fmt.Fprintf(b, " %s=%d", k.partition, o.Offset)
	default:
		e.values["g"] = r.Value
		again, err := decodeGroup(k.group, r.Value, &e.config, e.now)
		if err != nil {
			fmt.Fprintf(b, " %v", err)
			return
		}
		fmt.Fprintf(b, " group gen=%d", again.generation)
		for _, m := range again.order {
			fmt.Fprintf(b, " [%s %s]", m.id, m.assignment)
		}
	}
}

func (e *env) status() string {
	g := e.group
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s gen=%d", e.now.Sub(e.start), g.state, g.generation)
	if g.leader != "" {
		fmt.Fprintf(&b, " leader=%s", g.leader)
	}
	for _, m := range g.order {
		fmt.Fprintf(&b, " %s", m.id)
		if m.joining != nil {
			b.WriteString("(joining)")
		}
		if m.syncing != nil {
			b.WriteString("(syncing)")
		}
	}
	if len(g.pending) > 0 {
		fmt.Fprintf(&b, " pending=%d", len(g.pending))
	}
	b.WriteByte('\n')
	return b.String()
}
