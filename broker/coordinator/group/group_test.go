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
			e.event(t, d)
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

func (e *env) event(t *testing.T, d *datadriven.TestData) {
	arg := func(key string) string {
		var v string
		d.MaybeScanArgs(t, key, &v)
		return v
	}
	opt := func(key string) *string {
		if !d.HasArg(key) {
			return nil
		}
		v := arg(key)
		return &v
	}
	number := func(key string, otherwise int) int {
		if v, err := strconv.Atoi(arg(key)); err == nil {
			return v
		}
		return otherwise
	}
	g := e.group
	who := Identity{MemberID: arg("member"), InstanceID: opt("instance")}
	switch d.Cmd {
	case "join":
		version := number("v", 9)
		j := &Join{
			MemberID: who.MemberID, InstanceID: who.InstanceID, ClientID: arg("client"), ClientHost: "/h", ProtocolType: "consumer",
			SessionTimeoutMs: int32(number("session", 10000)), RebalanceTimeoutMs: int32(number("rebalance", 30000)),
			RequireKnownID: version >= 4 && who.InstanceID == nil, MaySkipAssignment: version >= 9,
		}
		if typ := opt("type"); typ != nil {
			j.ProtocolType = *typ
		}
		for _, name := range strings.Split(arg("protocols"), "/") {
			if name, metadata, _ := strings.Cut(name, ":"); name != "" {
				j.Protocols = append(j.Protocols, Protocol{name, []byte(metadata)})
			}
		}
		g.Join(j, "join-"+arg("as"), e.now)
	case "sync":
		s := &Sync{MemberID: who.MemberID, InstanceID: who.InstanceID, Generation: int32(number("gen", 1)), Protocol: opt("protocol"),
			Assignments: map[string][]byte{}}
		for _, a := range strings.Split(arg("assign"), "/") {
			if id, what, ok := strings.Cut(a, ":"); ok {
				s.Assignments[id] = []byte(what)
			}
		}
		g.Sync(s, "sync-"+arg("as"), e.now)
	case "heartbeat":
		fmt.Fprintf(&e.extra, "%s\n", name(g.Heartbeat(who, int32(number("gen", 1)), e.now)))
	case "leave":
		for _, code := range g.Leave([]Identity{who}, e.now) {
			fmt.Fprintf(&e.extra, "%s\n", name(code))
		}
	case "commit":
		c := &Commit{Identity: who, Generation: int32(number("gen", -1))}
		for _, o := range strings.Split(arg("offsets"), "/") {
			p, offset, _ := strings.Cut(o, ":")
			n, _ := strconv.Atoi(offset)
			c.Offsets = append(c.Offsets, PartitionOffset{partition(p), Offset{
				Offset: int64(n), LeaderEpoch: -1, Metadata: arg("metadata"), CommitTimestamp: e.now.UnixMilli(),
				ExpireTimestamp: int64(number("expire", -1)),
			}})
		}
		g.Commit(c, "commit-"+arg("as"), e.now)
	case "fetch":
		for _, o := range g.Fetch(nil, d.HasArg("stable")) {
			fmt.Fprintf(&e.extra, "%s=%d %s\n", o.Partition, o.Offset, name(o.Code))
		}
	case "appended":
		g.Appended(number("ticket", 0), int64(number("base", 0)), int16(number("code", 0)), e.now)
	case "advance":
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		for until := e.now.Add(by); ; {
			alarm := g.Alarm()
			if alarm.IsZero() || alarm.After(until) {
				e.now = until
				break
			}
			e.now = alarm
			g.Tick(e.now)
		}
	case "expire":
		g.Expire(time.Duration(number("retention", 60))*time.Second, e.now)
	case "delete":
		fmt.Fprintf(&e.extra, "%s\n", name(g.Delete(e.now)))
	case "delete-offsets":
		code, codes := g.DeleteOffsets([]topic.Partition{partition(arg("partition"))}, e.now)
		fmt.Fprintf(&e.extra, "%s", name(code))
		for _, c := range codes {
			fmt.Fprintf(&e.extra, " %s", name(c))
		}
		e.extra.WriteByte('\n')
	case "unload":
		g.Unload(e.now)
	case "reload":
		again, err := decodeGroup("g", e.values["g"], &e.config, e.now)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		again.offsets = g.offsets
		again.Begin(e.now)
		e.group = again
	case "limit":
		e.config.MaxSize = number("size", 4)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
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
	for _, j := range fx.Joins {
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
