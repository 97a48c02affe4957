package history

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var orders = Partition{"orders", 0}

// The producers of these histories: 1 is idempotent, 2 may leave duplicates, 3 never sends again.
func guarantee(producer int32) Guarantee { return []Guarantee{0, Idempotent, Repeats, Once}[producer] }

// run is records of a producer from sequence on, at offset.
func run(producer, sequence int32, count int32, offset int64) Run {
	return Run{ID{producer, sequence}, offset, count}
}

func acked(runs ...Run) Event {
	return Event{Kind: Acked, Client: runs[0].Producer, Partition: orders, Runs: runs}
}

func unknown(producer, sequence, count int32) Event {
	return Event{Kind: Unknown, Client: producer, Partition: orders, Runs: []Run{run(producer, sequence, count, -1)}}
}

// polled is a reply to consumer 10 under a leader epoch.
func polled(epoch int32, hw int64, runs ...Run) Event {
	return Event{Kind: Polled, Client: 10, Partition: orders, Runs: runs, HighWatermark: hw, Epoch: epoch}
}

func latest(hw int64) Event {
	return Event{Kind: Latest, Client: 10, Partition: orders, HighWatermark: hw, Epoch: -1}
}

// restarted is a broker's new life; polled and latest are of broker 0.
func restarted(broker int32) Event { return Event{Kind: Restarted, Leader: broker} }

// log is a replica that holds these runs, each as one batch.
func log(broker int32, runs ...Run) Replica {
	r := Replica{Broker: broker, Partition: orders, Runs: runs}
	for _, run := range runs {
		r.Batches = append(r.Batches, Batch{Offset: run.Offset, Epoch: 1, Sum: sha256.Sum256(fmt.Append(nil, run))})
	}
	return r
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name     string
		events   []Event
		replicas []Replica
		want     []Fault // sorted; none is a right history
	}{
		{name: "nothing happened"},
		{
			name:     "acknowledged, read, replicated",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3, run(1, 0, 3, 0)), latest(3)},
			replicas: []Replica{log(1, run(1, 0, 3, 0)), log(2, run(1, 0, 3, 0))},
		},
		{
			name:     "no answer, and not there",
			events:   []Event{acked(run(1, 0, 3, 0)), unknown(1, 3, 2)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
		},
		{
			name:     "no answer, and there",
			events:   []Event{acked(run(1, 0, 3, 0)), unknown(1, 3, 2)},
			replicas: []Replica{log(1, run(1, 0, 5, 0))},
		},
		{
			name:     "no answer, and late",
			events:   []Event{unknown(3, 0, 1), acked(run(3, 1, 1, 0))},
			replicas: []Replica{log(1, run(3, 1, 1, 0), run(3, 0, 1, 1))},
		},
		{
			name:     "a session ends, and the next begins anew under another number",
			events:   []Event{acked(run(1, 0, 2, 0)), unknown(1, 2, 4), acked(run(3, 0, 1, 4))},
			replicas: []Replica{log(1, run(1, 0, 4, 0), run(3, 0, 1, 4))},
		},
		{
			name:     "a producer without idempotence sends twice",
			events:   []Event{acked(run(2, 0, 2, 2))},
			replicas: []Replica{log(1, run(2, 0, 2, 0), run(2, 0, 2, 2))},
		},
		{
			name:     "acknowledged without an offset",
			events:   []Event{acked(run(1, 0, 2, -1))},
			replicas: []Replica{log(1, run(1, 0, 2, 0))},
		},
		{
			name:     "a new leader begins with an older high watermark",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3, run(1, 0, 3, 0)), polled(2, 1), polled(2, 3)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
		},
		{
			name:     "a leader was killed, and leads on in its epoch",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3), latest(3), restarted(0), polled(1, 2), polled(1, 3)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
		},
		{
			name:     "the high watermark rose while the reply was made",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 2, run(1, 0, 3, 0)), polled(1, 3)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
		},
		{
			name:   "not looked at in the end",
			events: []Event{acked(run(1, 0, 3, 0)), polled(1, 3, run(1, 0, 3, 0))},
		},

		{
			name:     "the end of the log is gone",
			events:   []Event{acked(run(1, 0, 3, 0))},
			replicas: []Replica{log(1, run(1, 0, 2, 0))},
			want:     []Fault{Lost, Lost}, // the record, and its offset
		},
		{
			name:     "another record is in its place",
			events:   []Event{acked(run(1, 0, 3, 0)), unknown(2, 0, 1)},
			replicas: []Replica{log(1, run(1, 0, 2, 0), run(2, 0, 1, 2))},
			want:     []Fault{Lost, Contents},
		},
		{
			name:     "acknowledged without an offset, and nowhere",
			events:   []Event{acked(run(1, 0, 1, -1))},
			replicas: []Replica{log(1)},
			want:     []Fault{Lost},
		},
		{
			name:     "read, and gone",
			events:   []Event{unknown(1, 0, 1), polled(1, 1, run(1, 0, 1, 0))},
			replicas: []Replica{log(1)},
			want:     []Fault{Lost, Back},
		},
		{
			name:     "a hole in the log",
			events:   []Event{acked(run(1, 0, 1, 0)), acked(run(1, 1, 1, 2))},
			replicas: []Replica{log(1, run(1, 0, 1, 0), run(1, 1, 1, 2))},
			want:     []Fault{Lost},
		},
		{
			name:     "two records acknowledged at one offset",
			events:   []Event{acked(run(1, 0, 1, 0)), acked(run(2, 0, 1, 0))},
			replicas: []Replica{log(1, run(1, 0, 1, 0), run(2, 0, 1, 1))},
			want:     []Fault{Contents},
		},
		{
			name:   "read as another than acknowledged",
			events: []Event{unknown(2, 0, 1), acked(run(1, 0, 1, 0)), polled(1, 1, run(2, 0, 1, 0))},
			want:   []Fault{Contents},
		},
		{
			name:     "acknowledged records swapped",
			events:   []Event{acked(run(1, 1, 1, 0)), acked(run(1, 0, 1, 1))},
			replicas: []Replica{log(1, run(1, 1, 1, 0), run(1, 0, 1, 1))},
			want:     []Fault{Order},
		},
		{
			name:     "swapped, without idempotence and offsets",
			events:   []Event{acked(run(2, 0, 2, -1))},
			replicas: []Replica{log(1, run(2, 1, 1, 0), run(2, 0, 1, 1))},
			want:     []Fault{Order},
		},
		{
			name:     "an idempotent producer's record without an answer, and late",
			events:   []Event{unknown(1, 0, 1), acked(run(1, 1, 1, 0))},
			replicas: []Replica{log(1, run(1, 1, 1, 0), run(1, 0, 1, 1))},
			want:     []Fault{Order},
		},
		{
			name:     "an idempotent producer's records without an answer, swapped",
			events:   []Event{unknown(1, 0, 2)},
			replicas: []Replica{log(1, run(1, 1, 1, 0), run(1, 0, 1, 1))},
			want:     []Fault{Order},
		},
		{
			name:     "a duplicate of one that never sends again",
			events:   []Event{acked(run(3, 0, 1, 0))},
			replicas: []Replica{log(1, run(3, 0, 1, 0), run(3, 0, 1, 1))},
			want:     []Fault{Duplicate},
		},
		{
			name:     "an idempotent producer's duplicate",
			events:   []Event{acked(run(1, 0, 2, 0))},
			replicas: []Replica{log(1, run(1, 0, 2, 0), run(1, 0, 2, 2))},
			want:     []Fault{Duplicate, Duplicate},
		},
		{
			name:     "a duplicate without an answer",
			events:   []Event{unknown(1, 0, 1)},
			replicas: []Replica{log(1, run(1, 0, 1, 0), run(1, 0, 1, 1))},
			want:     []Fault{Duplicate},
		},
		{
			name:     "the high watermark goes back within an epoch",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3), polled(1, 2)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Back},
		},
		{
			name:     "the high watermark goes back, another broker was killed",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3), restarted(1), polled(1, 2)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Back},
		},
		{
			name:     "the high watermark goes back in a leader's second life",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3), restarted(0), polled(1, 2), polled(1, 1)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Back},
		},
		{
			name:     "the latest offset goes back, the leader was killed",
			events:   []Event{acked(run(1, 0, 3, 0)), latest(3), restarted(0), latest(2)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Back},
		},
		{
			name:     "the latest offset goes back, under a new leader",
			events:   []Event{acked(run(1, 0, 3, 0)), latest(3), latest(2)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Back},
		},
		{
			name:     "the high watermark was above the end",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 4)},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Back},
		},
		{
			name:     "an offset left out",
			events:   []Event{acked(run(1, 0, 3, 0)), polled(1, 3, run(1, 0, 1, 0)), polled(1, 3, run(1, 2, 1, 2))},
			replicas: []Replica{log(1, run(1, 0, 3, 0))},
			want:     []Fault{Gap},
		},
		{
			name:     "an offset read twice",
			events:   []Event{acked(run(1, 0, 1, 0)), polled(1, 1, run(1, 0, 1, 0)), polled(1, 1, run(1, 0, 1, 0))},
			replicas: []Replica{log(1, run(1, 0, 1, 0))},
			want:     []Fault{Gap},
		},
		{
			name:     "a record that nobody sent",
			replicas: []Replica{log(1, run(1, 0, 1, 0))},
			want:     []Fault{Foreign},
		},
		{
			name:     "a replica is shorter",
			events:   []Event{acked(run(1, 0, 1, 0), run(1, 1, 1, 1))},
			replicas: []Replica{log(1, run(1, 0, 1, 0), run(1, 1, 1, 1)), log(2, run(1, 0, 1, 0))},
			want:     []Fault{Differ},
		},
		{
			name:     "a replica is longer",
			events:   []Event{acked(run(1, 0, 1, 0))},
			replicas: []Replica{log(1, run(1, 0, 1, 0)), log(2, run(1, 0, 1, 0), run(1, 1, 1, 1))},
			want:     []Fault{Differ},
		},
		{
			name:     "a replica holds something else",
			events:   []Event{acked(run(1, 0, 1, 0)), unknown(2, 0, 1)},
			replicas: []Replica{log(1, run(1, 0, 1, 0)), log(2, run(1, 0, 1, 0)), log(3, run(2, 0, 1, 0))},
			want:     []Fault{Differ},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			violations := Check(tt.events, tt.replicas, Rules{Guarantee: guarantee})
			var got []Fault
			for _, v := range violations {
				got = append(got, v.Fault)
				if v.Partition != orders || v.Detail == "" {
					t.Errorf("does not say enough: %+v", v)
				}
			}
			slices.Sort(got)
			want := slices.Clone(tt.want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("found %q, want %q:\n%v", got, want, violations)
			}
		})
	}
}

// TestViolationsAreBounded: a lost log is told once, not a million times.
func TestViolationsAreBounded(t *testing.T) {
	violations := Check([]Event{acked(run(1, 0, 1000, -1))}, []Replica{log(1)}, Rules{Guarantee: guarantee})
	if len(violations) != perFault+1 || violations[perFault].Detail != "and 995 more" {
		t.Errorf("%d violations: %v", len(violations), violations)
	}
}

func TestValue(t *testing.T) {
	for _, size := range []int{0, 100} {
		value := Value(Partition{"orders", 7}, ID{3, 41}, size)
		p, id, err := Parse(value)
		if err != nil || p != (Partition{"orders", 7}) || id != (ID{3, 41}) || len(value) < size {
			t.Errorf("%q: %v, %v, %v", value, p, id, err)
		}
	}
	for _, value := range []string{"", "orders 1 2 3", "orders 1 2 x y", "orders -1 2 3 y", "orders 1 2 99999999999 y"} {
		if _, _, err := Parse([]byte(value)); err == nil {
			t.Errorf("%q was taken", value)
		}
	}
}

func TestRecorder(t *testing.T) {
	r := NewRecorder()
	r.Add(acked(run(1, 0, 3, 0)))
	r.Add(unknown(1, 3, 2))
	r.Add(polled(4, 3, run(1, 0, 3, 0)))
	if got := r.Counts(); got != (Counts{Acked: 3, Unknown: 2, Polled: 3}) {
		t.Errorf("counted %+v", got)
	}
	events := r.Events()
	if len(events) != 3 || events[2].At < events[0].At || events[2].At > time.Minute {
		t.Errorf("events %v", events)
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" acked client=1 orders-0 0+3@0\n", " unknown client=1 orders-0 3+2@-1\n",
		" polled client=10 orders-0 hw=3 epoch=4 leader=0 0+3@0(producer 1)\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

func TestAppendRun(t *testing.T) {
	var runs []Run
	for _, r := range []Run{run(1, 0, 1, 5), run(1, 1, 1, 6), run(1, 2, 1, 8), run(1, 4, 1, 9), run(2, 5, 1, 10), run(2, 6, 1, -1), run(2, 7, 1, -1)} {
		runs = AppendRun(runs, r.ID, r.Offset)
	}
	want := []Run{run(1, 0, 2, 5), run(1, 2, 1, 8), run(1, 4, 1, 9), run(2, 5, 1, 10), run(2, 6, 2, -1)}
	if !slices.Equal(runs, want) {
		t.Errorf("%v, want %v", runs, want)
	}
}
