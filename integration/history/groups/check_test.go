package groups

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/history"
)

var orders = history.Partition{Topic: "orders"}

// The events of these histories have their place in the history as their time, and begin half a second before.

func event(k Kind, member string, generation int32, offset, count int64) Event {
	return Event{Kind: k, Group: "g", Member: member, Generation: generation, Broker: 1, Parts: []Part{{orders, offset, count}}}
}

func assigned(member string, generation int32) Event {
	return event(Assigned, member, generation, 0, 0)
}
func fetched(member string, generation int32, offset int64) Event {
	return event(Fetched, member, generation, offset, 0)
}
func processed(member string, generation int32, offset, count int64) Event {
	return event(Processed, member, generation, offset, count)
}
func committed(member string, generation int32, offset int64) Event {
	return event(Committed, member, generation, offset, 0)
}
func uncertain(member string, generation int32, offset int64) Event {
	return event(Uncertain, member, generation, offset, 0)
}

// outside is somebody who asks for the committed offset.
func outside(offset int64) Event {
	e := fetched("", Outside, offset)
	e.Broker = UnknownBroker
	return e
}

// begun says after which of the events it began, counted from 1.
func (e Event) begun(after int) Event {
	e.Begun = time.Duration(after)*time.Second + 1
	return e
}

func (e Event) from(broker int32) Event  { e.Broker = broker; return e }
func (e Event) static(name string) Event { e.Instance = name; return e }
func (e Event) repeated() Event          { e.Repeated = true; return e }
func (e Event) of(parts ...int32) (r Event) {
	r = e
	r.Parts = nil
	for _, p := range parts {
		r.Parts = append(r.Parts, Part{Partition: history.Partition{Topic: "orders", Index: p}})
	}
	return r
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		events []Event
		want   []Fault // none is a right history
	}{
		{name: "nothing happened"},
		{
			name: "a member is followed by another one",
			events: []Event{assigned("a", 1), fetched("a", 1, -1), processed("a", 1, 0, 10), committed("a", 1, 10),
				assigned("b", 2), fetched("b", 2, 10), processed("b", 2, 10, 5), committed("b", 2, 15), outside(15)},
		},
		{
			name: "what was not committed is processed again",
			events: []Event{assigned("a", 1), fetched("a", 1, -1), processed("a", 1, 0, 10), committed("a", 1, 10), processed("a", 1, 10, 5),
				assigned("b", 2), fetched("b", 2, 10), processed("b", 2, 10, 7)},
		},
		{
			name: "a commit without an answer counts",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5), uncertain("a", 1, 10),
				assigned("b", 2), fetched("b", 2, 10)},
		},
		{
			name: "a commit without an answer does not count",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5), uncertain("a", 1, 10),
				assigned("b", 2), fetched("b", 2, 5)},
		},
		{
			name: "a commit without an answer is known later than it was carried out",
			events: []Event{processed("a", 1, 0, 10), assigned("b", 2), fetched("b", 2, 10),
				uncertain("a", 1, 10).begun(1)},
		},
		{
			name: "a commit without an answer takes back a later one",
			events: []Event{processed("a", 1, 0, 10), uncertain("a", 1, 5), committed("a", 1, 10),
				assigned("b", 2), fetched("b", 2, 5), processed("b", 2, 5, 2), committed("b", 2, 7), outside(7)},
		},
		{
			name: "a commit that was sent twice takes back a later one",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5).repeated(), committed("a", 1, 10),
				assigned("b", 2), fetched("b", 2, 5)},
		},
		{
			name:   "a commit was acknowledged after the offsets were asked for",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5), committed("a", 1, 10), fetched("b", 2, 5).begun(2)},
		},
		{
			name: "a commit that was on its way when a new generation began",
			events: []Event{assigned("a", 1), processed("a", 1, 0, 10), assigned("b", 2).of(1),
				committed("a", 1, 10).begun(2)},
		},
		{
			name: "a broker that was replaced does not know what others did",
			events: []Event{processed("a", 1, 0, 9), committed("a", 1, 5).from(2), committed("a", 1, 9).from(1),
				assigned("b", 2).from(1), fetched("b", 2, 5).from(2)},
		},
		{
			name: "a broker that was replaced assigns again, and does not know what others did in the generation",
			events: []Event{assigned("a", 1).from(1), processed("a", 1, 0, 9), committed("a", 1, 5).from(1), committed("a", 1, 9).from(2),
				assigned("a", 1).from(1), fetched("a", 1, 5).from(1)},
		},
		{
			name:   "a broker that was replaced answers from memory",
			events: []Event{assigned("a", 2).from(1), assigned("b", 1).from(2)},
		},
		{
			name: "a static member comes back under another id",
			events: []Event{assigned("a", 1).static("i"), processed("a", 1, 0, 5), committed("a", 1, 5).static("i"),
				assigned("b", 1).static("i"), fetched("b", 1, 5).static("i"), processed("b", 1, 5, 1), committed("b", 1, 6).static("i")},
		},
		{
			name:   "partitions are shared out",
			events: []Event{assigned("a", 1).of(0, 2), assigned("b", 1).of(1), assigned("a", 2).of(), assigned("b", 2).of(0, 1, 2)},
		},
		{
			name:   "an assignment is delivered again",
			events: []Event{assigned("a", 1).of(0, 2), assigned("a", 1).of(2, 0)},
		},

		{
			name: "a commit is taken back",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5), committed("a", 1, 10),
				assigned("b", 2), fetched("b", 2, 5)},
			want: []Fault{WentBack},
		},
		{
			name: "a commit is taken back by one without an answer, of an earlier generation",
			events: []Event{processed("a", 1, 0, 10), uncertain("a", 1, 5), committed("a", 2, 10),
				assigned("b", 3), fetched("b", 3, 5)},
			want: []Fault{WentBack},
		},
		{
			name: "a commit is taken back within its generation",
			events: []Event{assigned("a", 1), processed("a", 1, 0, 10), committed("a", 1, 5), committed("a", 1, 10),
				fetched("a", 1, 5)},
			want: []Fault{WentBack},
		},
		{
			name: "a broker that assigns does not know what others did before",
			events: []Event{processed("a", 1, 0, 9), committed("a", 1, 5).from(2), committed("a", 1, 9).from(1),
				assigned("b", 2).from(2), fetched("b", 2, 5).from(2)},
			want: []Fault{WentBack},
		},
		{
			name: "a commit is taken back, by brokers that are not known",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5).from(UnknownBroker), committed("a", 1, 10).from(UnknownBroker),
				assigned("b", 2).from(UnknownBroker), fetched("b", 2, 5).from(UnknownBroker)},
			want: []Fault{WentBack},
		},
		{
			name: "a broker that was replaced does not know what it has acknowledged itself",
			events: []Event{processed("a", 1, 0, 9), committed("a", 1, 4).from(2), committed("a", 1, 5).from(2), committed("a", 1, 9).from(1),
				assigned("b", 2).from(1), fetched("b", 2, 4).from(2)},
			want: []Fault{WentBack},
		},
		{
			name:   "a commit is lost in the end",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 5), committed("a", 1, 10), outside(5)},
			want:   []Fault{WentBack},
		},
		{
			name:   "nothing is left of the commits",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 10), assigned("b", 2), fetched("b", 2, -1)},
			want:   []Fault{Lost},
		},
		{
			name:   "an offset that nobody has committed",
			events: []Event{processed("a", 1, 0, 10), committed("a", 1, 10), assigned("b", 2), fetched("b", 2, 7)},
			want:   []Fault{Invented},
		},
		{
			name:   "an offset that is committed later",
			events: []Event{processed("a", 1, 0, 10), assigned("b", 2), fetched("b", 2, 10), uncertain("a", 1, 10).begun(3)},
			want:   []Fault{Invented},
		},
		{
			name:   "an offset above what was processed",
			events: []Event{processed("a", 1, 0, 10), uncertain("a", 1, 12), assigned("b", 2), fetched("b", 2, 12)},
			want:   []Fault{Skipped},
		},
		{
			name:   "a record that nobody has processed",
			events: []Event{assigned("a", 1), fetched("a", 1, -1), processed("a", 1, 0, 3), processed("a", 1, 4, 3)},
			want:   []Fault{Skipped},
		},
		{
			name:   "the first record is skipped",
			events: []Event{assigned("a", 1), fetched("a", 1, -1), processed("a", 1, 1, 3)},
			want:   []Fault{Skipped},
		},
		{
			name:   "a commit above what was processed",
			events: []Event{processed("a", 1, 0, 3), committed("a", 1, 5)},
			want:   []Fault{Skipped},
		},
		{
			name:   "two members have a partition",
			events: []Event{assigned("a", 1).of(0, 1), assigned("b", 1).of(1, 2)},
			want:   []Fault{Shared},
		},
		{
			name:   "two static members have a partition",
			events: []Event{assigned("a", 1).static("i"), assigned("b", 1).static("j")},
			want:   []Fault{Shared},
		},
		{
			name:   "a member has two assignments",
			events: []Event{assigned("a", 1).of(0, 1), assigned("a", 1).of(0)},
			want:   []Fault{Changed},
		},
		{
			name: "a commit of an earlier generation",
			events: []Event{assigned("a", 1), processed("a", 1, 0, 10), assigned("b", 2),
				committed("a", 1, 10).begun(3)},
			want: []Fault{Stale},
		},
		{
			name: "a commit of a static member that was replaced",
			events: []Event{assigned("a", 1).static("i"), processed("a", 1, 0, 10), assigned("b", 1).static("i"),
				committed("a", 1, 10).static("i").begun(3)},
			want: []Fault{Stale},
		},
		{
			name:   "a broker goes back to an earlier generation",
			events: []Event{assigned("a", 2), assigned("b", 1).begun(1)},
			want:   []Fault{Stale},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.events {
				e := &tt.events[i]
				if e.At = time.Duration(i+1) * time.Second; e.Begun == 0 {
					e.Begun = e.At - time.Second/2
				}
			}
			violations := Check(tt.events)
			var got []Fault
			for _, v := range violations {
				got = append(got, v.Fault)
				if v.Group != "g" || v.Detail == "" {
					t.Errorf("does not say enough: %+v", v)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q:\n%v", got, tt.want, violations)
			}
		})
	}
}

// TestGroupsAreCheckedAlone: what another group did is of no meaning.
func TestGroupsAreCheckedAlone(t *testing.T) {
	a, b := assigned("a", 1), assigned("b", 1)
	b.Group = "h"
	if v := Check([]Event{a, b}); len(v) > 0 {
		t.Error(v)
	}
}

// TestViolationsAreBounded: a group that is broken says so a few times.
func TestViolationsAreBounded(t *testing.T) {
	var events []Event
	for i := range int64(20) {
		events = append(events, processed("a", 1, 2*i+1, 1))
	}
	if v := Check(events); len(v) != perFault+1 || v[perFault].Detail != "and 15 more" {
		t.Error(v)
	}
}

func TestRecorder(t *testing.T) {
	r := NewRecorder()
	begun := r.Now()
	r.Add(assigned("a", 3).static("i"))
	c := committed("a", 3, 7).repeated()
	c.Begun = begun
	r.Add(c)
	r.Add(processed("a", 3, 7, 2))
	if got := r.Counts(); got != (Counts{Assignments: 1, Commits: 1}) {
		t.Errorf("counted %+v", got)
	}
	if events := r.Events(); len(events) != 3 || events[1].At < events[1].Begun {
		t.Errorf("events %v", events)
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" g assigned i a generation=3 broker=1 orders-0\n", " g committed a generation=3 broker=1 repeated orders-0:7\n",
		" g processed a generation=3 broker=1 orders-0:7+2\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
