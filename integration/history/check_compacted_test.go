package history

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
)

// version returns the number of the n-th version of key often-1; the fourth, 3, is a tombstone, as is each fifth after it.
func version(n int32) int32 { return n*oftenKeys + 1 }

// at returns a version of often-1 by producer 1 at an offset.
func at(offset int64, n int32) Run { return run(1, version(n), 1, offset) }

// kept is a replica that ends at an offset; its batches have one record each.
func kept(broker int32, end int64, runs ...Run) Replica {
	r := log(broker, runs...)
	r.Next = end
	return r
}

func TestCheckCompacted(t *testing.T) {
	once := run(1, 0, 1, 0) // of a key that is never written again
	epoch := kept(2, 2, at(1, 1))
	epoch.Batches[0] = Batch{Offset: 1, Epoch: 2, Sum: sha256.Sum256(nil)}
	rewritten := kept(2, 2, at(1, 1))
	rewritten.Batches[0].Sum = sha256.Sum256([]byte("cleaned"))
	noAnswer := Event{Kind: Unknown, Client: 1, Partition: orders, Runs: []Run{at(-1, 3)}}
	tests := []struct {
		name     string
		events   []Event
		replicas []Replica
		want     []Fault
	}{
		{name: "cleaned", events: []Event{acked(once), acked(at(1, 0)), acked(at(2, 1))},
			replicas: []Replica{kept(1, 3, once, at(2, 1)), kept(2, 3, once, at(1, 0), at(2, 1))}},
		{name: "a later version without an answer", events: []Event{acked(at(0, 0)), unknown(1, version(1), 1)}, replicas: []Replica{kept(1, 2, at(1, 1))}},
		{name: "a tombstone that is there, or gone", events: []Event{acked(at(0, 2)), acked(at(1, 3))},
			replicas: []Replica{kept(1, 2, at(1, 3)), kept(2, 2)}},
		{name: "a tombstone without an answer, which is gone", events: []Event{acked(at(0, 2)), noAnswer}, replicas: []Replica{kept(1, 2)}},
		{name: "acknowledged without an offset", events: []Event{acked(at(-1, 0)), acked(at(-1, 1))}, replicas: []Replica{kept(1, 2, at(1, 1))}},
		{name: "batches that only one has cleaned", events: []Event{acked(at(0, 0)), acked(at(1, 1))}, replicas: []Replica{kept(1, 2, at(1, 1)), rewritten}},
		{name: "read with gaps", events: []Event{acked(at(0, 0)), acked(at(1, 1)), acked(at(2, 2)), polled(1, 3, at(0, 0), at(2, 2))},
			replicas: []Replica{kept(1, 3, at(2, 2))}},

		{name: "a key is gone", events: []Event{acked(once), acked(at(1, 0))}, replicas: []Replica{kept(1, 2, at(1, 0))}, want: []Fault{Lost}},
		{name: "a key is gone, its tombstone was an earlier one", events: []Event{acked(at(0, 4)), noAnswer}, replicas: []Replica{kept(1, 1)}, want: []Fault{Lost}},
		{name: "read, and gone", events: []Event{unknown(1, version(0), 1), polled(1, 1, at(0, 0))}, replicas: []Replica{kept(1, 1)}, want: []Fault{Lost}},
		{name: "the latest version is gone", events: []Event{acked(at(0, 0)), acked(at(1, 1))}, replicas: []Replica{kept(1, 2, at(0, 0))}, want: []Fault{Stale}},
		{name: "acknowledged without an offset, and gone", events: []Event{acked(at(-1, 0))}, replicas: []Replica{kept(1, 1)}, want: []Fault{Lost}},
		{name: "acknowledged without an offset, and older", events: []Event{acked(at(-1, 0)), acked(at(-1, 1))},
			replicas: []Replica{kept(1, 2, at(0, 0))}, want: []Fault{Stale}},
		{name: "the end is gone", events: []Event{acked(at(0, 0)), acked(at(1, 1))}, replicas: []Replica{kept(1, 1, at(0, 0))}, want: []Fault{Lost, Stale}},
		{name: "the end that was told", events: []Event{acked(at(0, 0)), latest(5)}, replicas: []Replica{kept(1, 1, at(0, 0))}, want: []Fault{Back}},
		{name: "deleted, and back", events: []Event{acked(at(0, 2)), acked(at(1, 3))}, replicas: []Replica{kept(1, 2, at(0, 2))}, want: []Fault{Undead}},
		{name: "deleted, and back on one replica", events: []Event{acked(at(0, 2)), acked(at(1, 3))},
			replicas: []Replica{kept(1, 2), kept(2, 2, at(0, 2))}, want: []Fault{Undead, Differ}},
		{name: "versions go back", events: []Event{unknown(1, version(0), 1), unknown(1, version(1), 1)},
			replicas: []Replica{kept(1, 2, at(0, 1), at(1, 0))}, want: []Fault{Order}},
		{name: "offsets go back", events: []Event{acked(at(0, 0)), acked(at(1, 1))}, replicas: []Replica{kept(1, 2, at(1, 1), at(1, 1))}, want: []Fault{Order, Duplicate}},
		{name: "twice", events: []Event{acked(at(0, 0))}, replicas: []Replica{kept(1, 2, at(0, 0), at(1, 0))}, want: []Fault{Duplicate, Duplicate}},
		{name: "elsewhere", events: []Event{acked(at(0, 0))}, replicas: []Replica{kept(1, 2, at(1, 0))}, want: []Fault{Duplicate}},
		{name: "invented", events: []Event{acked(at(0, 0))}, replicas: []Replica{kept(1, 2, at(1, 1))}, want: []Fault{Foreign}},
		{name: "another record", events: []Event{acked(at(0, 0)), unknown(1, version(1), 1)}, replicas: []Replica{kept(1, 1, at(0, 1))}, want: []Fault{Contents}},
		{name: "read back and forth", events: []Event{acked(at(0, 0)), acked(at(1, 1)), polled(1, 2, at(1, 1)), polled(1, 2, at(0, 0))},
			replicas: []Replica{kept(1, 2, at(1, 1))}, want: []Fault{Gap}},
		{name: "two ends", events: []Event{acked(at(0, 0))}, replicas: []Replica{kept(1, 1, at(0, 0)), kept(2, 2, at(0, 0))}, want: []Fault{Differ}},
		{name: "two epochs", events: []Event{acked(at(0, 0)), acked(at(1, 1))}, replicas: []Replica{kept(1, 2, at(1, 1)), epoch}, want: []Fault{Differ}},
		{name: "two records, of which nobody was told", events: []Event{unknown(2, version(0), 1), unknown(3, version(0), 1)},
			replicas: []Replica{kept(1, 1, run(2, version(0), 1, 0)), kept(2, 1, run(3, version(0), 1, 0))}, want: []Fault{Differ, Differ, Differ}},
		{name: "an older version on one replica, of which nobody was told", events: []Event{unknown(1, version(0), 2)},
			replicas: []Replica{kept(1, 1, at(0, 0)), kept(2, 1)}, want: []Fault{Differ}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			violations := Check(tt.events, tt.replicas, Rules{guarantee, func(topic string) bool { return topic == orders.Topic }})
			var got []Fault
			for _, v := range violations {
				got = append(got, v.Fault)
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q:\n%v", got, tt.want, violations)
			}
		})
	}
}

func TestParseRecord(t *testing.T) {
	for sequence := range int32(3 * oftenKeys * deletedEvery) {
		id := ID{7, sequence}
		rec := record.Record{Key: []byte(Key(id)), Value: Value(orders, id, 0)}
		if Deletes(id) {
			rec.Value, rec.Headers = nil, record.MakeHeaders(record.Header{Key: NoteHeader, Value: rec.Value})
		}
		if p, got, err := ParseStored(rec); err != nil || p != orders || got != id {
			t.Fatalf("%v, %v, %v; want %v", p, got, err, id)
		}
	}
	value, tombstone := Value(orders, ID{7, version(0)}, 0), Value(orders, ID{7, version(3)}, 0)
	for _, wrong := range [][3][]byte{{[]byte("often-2"), value, nil}, {[]byte("often-1"), nil, value}, {[]byte("often-1"), tombstone, nil}, {[]byte("often-1"), nil, nil}} {
		if _, id, err := ParseRecord(wrong[0], wrong[1], wrong[2]); err == nil {
			t.Errorf("%s was taken for %s", fmt.Sprintf("%q", wrong), fmt.Sprint(id))
		}
	}
}
