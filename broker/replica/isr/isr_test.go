package isr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestISR replays histories of one leader (broker 1). After each command it prints the state:
// ISR, pending proposal, log end, high watermark.
//
//	begin isr=(1,2) replicas=(1,2,3) [version=n] [min=n] [lag=10s] [keep]
//	append n          the leader's log grows
//	fetch id offset   a follower fetches; may propose that it joins
//	advance 5s        time passes
//	check             proposes to drop who lags
//	accept version    the proposal is committed
//	withdraw          it is not
//	dead (ids)        brokers that are not alive
func TestISR(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := &model{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return m.run(t, d) })
	})
}

type model struct {
	tracker *Tracker
	now     time.Duration
	end, hw int64
	min     int
	dead    []int32
}

func (m *model) run(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	switch d.Cmd {
	case "begin":
		m.begin(t, d)
	case "append":
		m.end += number(t, d, 0)
	case "fetch":
		id := int32(number(t, d, 0))
		if !m.tracker.Fetched(id, number(t, d, 1), 0, m.end, m.now) {
			return "not assigned\n"
		}
		if m.tracker.MayJoin(id, m.hw) && m.alive(id) {
			fmt.Fprintf(&out, "propose %v\n", m.tracker.ProposeAdding(id))
		}
	case "advance":
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		m.now += by
	case "check":
		if lagging := m.tracker.Lagging(m.end, m.now); lagging != nil {
			fmt.Fprintf(&out, "propose %v\n", m.tracker.ProposeDropping(lagging))
		}
	case "accept":
		if !m.tracker.Accept(m.tracker.Pending(), int32(number(t, d, 0))) {
			out.WriteString("ignored\n")
		}
	case "withdraw":
		m.tracker.Withdraw()
	case "dead":
		m.dead = nil
		for _, a := range d.CmdArgs {
			id, _ := strconv.Atoi(a.Key)
			m.dead = append(m.dead, int32(id))
		}
	default:
		t.Fatalf("unknown command %s", d.Cmd)
	}
	m.raise(t)
	pending := "-"
	if m.tracker.Pending() != nil {
		pending = fmt.Sprint(m.tracker.Pending())
	}
	fmt.Fprintf(&out, "isr=%v pending=%s maximal=%d end=%d hw=%d\n", m.tracker.ISR(), pending, m.tracker.MaximalSize(), m.end, m.hw)
	return out.String()
}

func (m *model) begin(t *testing.T, d *datadriven.TestData) {
	a := Assignment{Self: 1, ISR: ids(d, "isr"), Replicas: ids(d, "replicas"), EpochStart: m.end}
	if v := ids(d, "version"); v != nil {
		a.Version = v[0]
	}
	m.min = 1
	if v := ids(d, "min"); v != nil {
		m.min = int(v[0])
	}
	previous := m.tracker
	if !d.HasArg("keep") {
		previous = nil
	}
	m.tracker = Begin(a, 10*time.Second, previous, m.end, m.now)
}

// raise does what the partition does: it never lowers the high watermark, and keeps it below min ISR.
func (m *model) raise(t *testing.T) {
	if len(m.tracker.ISR()) < m.min {
		return
	}
	if to := m.tracker.HighWatermark(m.end, func() time.Duration { return m.now }, m.alive); to > m.hw {
		if to > m.end {
			t.Fatalf("high watermark %d beyond the log end %d", to, m.end)
		}
		m.hw = to
	}
}

func (m *model) alive(id int32) bool { return !slices.Contains(m.dead, id) }

func number(t *testing.T, d *datadriven.TestData, at int) int64 {
	n, err := strconv.ParseInt(d.CmdArgs[at].Key, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func ids(d *datadriven.TestData, key string) []int32 {
	for _, a := range d.CmdArgs {
		if a.Key != key {
			continue
		}
		var list []int32
		for _, v := range a.Vals {
			id, _ := strconv.Atoi(v)
			list = append(list, int32(id))
		}
		return list
	}
	return nil
}

// TestMostCaughtUp chooses as ReplicaView.comparator does.
func TestMostCaughtUp(t *testing.T) {
	begin := func() *Tracker {
		a := Assignment{Self: 1, Replicas: []int32{1, 2, 3, 4, 5}, ISR: []int32{1, 2, 3, 4}}
		tr := Begin(a, 10*time.Second, nil, 100, 0)
		for id := int32(2); id <= 5; id++ {
			tr.Fetched(id, 50, 10, 100, time.Second)
		}
		return tr
	}
	all := func(int32) bool { return true }
	tests := []struct {
		name   string
		change func(*Tracker)
		offset int64
		among  func(int32) bool
		want   int32
	}{
		{"the highest id if all are alike", func(*Tracker) {}, 50, all, 4},
		{"the longest log", func(tr *Tracker) { tr.Fetched(2, 60, 10, 100, 2*time.Second) }, 50, all, 2},
		{"the one caught up last", func(tr *Tracker) {
			for id := int32(2); id <= 4; id++ {
				tr.Fetched(id, 100, 10, 100, time.Duration(10-id)*time.Second)
			}
		}, 50, all, 2},
		{"only those that hold the offset", func(tr *Tracker) { tr.Fetched(3, 60, 10, 100, 2*time.Second) }, 55, all, 3},
		{"nobody holds it", func(*Tracker) {}, 51, all, -1},
		{"nobody has it any more", func(*Tracker) {}, 9, all, -1},
		{"only those asked for", func(*Tracker) {}, 50, func(id int32) bool { return id == 3 }, 3},
		{"not outside of the ISR", func(*Tracker) {}, 50, func(id int32) bool { return id == 5 }, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := begin()
			tt.change(tr)
			if got := tr.MostCaughtUp(tt.offset, tt.among); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if got := Begin(Assignment{Self: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}}, time.Second, nil, 0, 0).MostCaughtUp(0, all); got != -1 {
		t.Errorf("a follower that has not fetched yet: %d", got)
	}
}
