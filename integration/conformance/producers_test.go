package conformance

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// run is a batch of an idempotent producer: its epoch, its first sequence number, and how many records it has.
type run struct {
	producer int64
	epoch    int16
	sequence int32
	records  int
}

func (r run) String() string {
	return fmt.Sprintf("%d/%d %d+%d", r.producer, r.epoch, r.sequence, r.records)
}

// encode is the batch.
func (r run) encode() []byte {
	return newBatch(producer(r.producer, r.epoch, r.sequence), func(b *batch) {
		b.NumRecords, b.LastOffsetDelta = int32(r.records), int32(r.records-1)
		for i := range r.records {
			body := []byte{0, 0} // attributes, time
			body = binary.AppendVarint(body, int64(i))
			body = append(body, 1, 2, 'v', 0) // no key, a value of one byte, no headers
			b.body = append(binary.AppendVarint(b.body, int64(len(body))), body...)
		}
	})
}

// producing sends runs one after the other and writes down what comes of them, on a topic with one partition.
type producing struct {
	*single
	topic string
	lines strings.Builder
}

// send writes down error codes and offsets.
func (h *producing) send(what string, runs ...run) {
	h.t.Helper()
	fmt.Fprintf(&h.lines, "%s:\n", what)
	c := dial(h.t, h.addr)
	defer c.Close()
	for _, r := range runs {
		resp, err := c.ask(withVersion(produce(h.topic, 0, r.encode()), 9))
		if err != nil {
			h.t.Fatalf("%s: %v: %v", what, r, err)
		}
		p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		fmt.Fprintf(&h.lines, "  %v: error %d offset %d\n", r, p.ErrorCode, p.BaseOffset)
	}
}

// known returns what the broker says that it knows of producers, sorted.
func (h *producing) known() []string {
	h.t.Helper()
	resp := ask[*kmsg.DescribeProducersResponse](h.t, h.addr, withVersion(describeProducers(part(h.topic, 0)), 0))
	var list []string
	for _, p := range resp.Topics[0].Partitions[0].ActiveProducers {
		list = append(list, fmt.Sprintf("%d/%d up to %d", p.ProducerID, p.ProducerEpoch, p.LastSequence))
	}
	slices.Sort(list)
	return list
}

// describe writes down what the broker knows.
func (h *producing) describe() {
	h.t.Helper()
	fmt.Fprintf(&h.lines, "  known: %s\n", strings.Join(h.known(), ", "))
}

// again starts the broker after it was ended by end, and waits until the topic has its leader.
func (h *producing) again(end func(id int32), between func()) {
	h.t.Helper()
	end(1)
	h.c.EndSession(1) // which Kafka does not register over
	between()
	h.c.Restart(1)
	h.c.Await("leader", func() bool {
		m := ask[*kmsg.MetadataResponse](h.t, h.addr, withVersion(metadata(h.topic), 12))
		return len(errorsIn(m)) == 0 && m.Topics[0].Partitions[0].Leader == 1
	})
}

// withoutSnapshots removes the snapshots of producers of the stopped broker's topic.
func (h *producing) withoutSnapshots() {
	h.t.Helper()
	names, err := filepath.Glob(filepath.Join(h.c.Broker(1).DataDir(), h.topic+"-0", "*.snapshot"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			h.t.Fatal(err)
		}
	}
}

// TestProducers sends one sequence of batches of idempotent producers, over restarts in order and by SIGKILL, and over the loss
// of snapshots, and wants the answers that Apache Kafka has given (CONFORMANCE_KAFKA=1 has it give them again). Where it is
// meant to know more than Kafka, testdata/producers.txt says both: what was read again after a crash tells of each producer's last five
// batches, a snapshot of the last one only.
func TestProducers(t *testing.T) {
	t.Parallel()
	h := &producing{single: newSingle(t, nil), topic: "sequences"}
	h.create(h.topic)
	none := func() {}
	of := func(producer int64, epoch int16) func(pairs ...int32) []run {
		return func(pairs ...int32) (runs []run) {
			for p := range slices.Chunk(pairs, 2) {
				runs = append(runs, run{producer, epoch, p[0], int(p[1])})
			}
			return runs
		}
	}
	a, b, c, d := of(1000, 0), of(1000, 1), of(2000, 0), of(3000, 5)
	h.send("six batches", a(0, 3, 3, 2, 5, 1, 6, 1, 7, 2, 9, 1)...)
	h.send("each of the last five again", a(3, 2, 5, 1, 6, 1, 7, 2, 9, 1)...)
	h.send("the sixth again", a(0, 3)...)
	h.send("parts of batches and more than batches", a(7, 1, 8, 1, 5, 2, 9, 2, 3, 7)...)
	h.send("gaps", a(12, 1, 11, 1)...)
	h.send("what is due", a(10, 1)...)
	h.send("next epoch, not from 0", b(5, 1, 11, 1)...)
	h.send("next epoch", b(0, 1, 1, 2)...)
	h.send("old epoch", a(11, 1, 10, 1, 0, 3)...)
	h.send("again in the next epoch", b(0, 1, 1, 2, 2, 1)...)
	h.send("unknown producer", c(5, 1, 5, 1, 7, 1, 6, 1)...)
	h.send("over the largest sequence number", d(2147483645, 2, 2147483647, 1, 0, 1, 1, 1)...)
	h.send("again around it", d(2147483645, 2, 2147483647, 1, 0, 1, 2147483646, 4)...)
	h.send("a batch that runs over it", of(3001, 0)(2147483646, 4, 2147483646, 4, 2, 1)...)
	h.describe()
	h.send("five of each", slices.Concat(b(3, 1, 4, 1, 5, 1, 6, 1, 7, 1), c(7, 1, 8, 1, 9, 1, 10, 1, 11, 1))...)

	again := slices.Concat(b(7, 1, 6, 1, 4, 1, 3, 1, 0, 1), c(11, 1, 10, 1, 6, 1))
	next := func(n int32) []run {
		return slices.Concat(b(9+n, 1), a(8, 1), c(13+n, 1), b(8+n, 1), c(12+n, 1), b(8+n, 1), c(12+n, 1))
	}
	h.again(h.c.Stop, none)
	h.describe()
	h.send("after a restart", again...)
	h.send("and on", next(0)...)
	h.again(h.c.Kill, none)
	h.describe()
	h.send("after SIGKILL", again...)
	h.send("and on", next(1)...)
	h.again(h.c.Kill, h.withoutSnapshots)
	h.describe()
	h.send("after SIGKILL without snapshots", again...)
	h.send("and on", next(2)...)

	if resp := ask[*kmsg.DeleteRecordsResponse](t, h.addr, withVersion(deleteRecords(part(h.topic, 0), -1), 2)); len(errorsIn(resp)) > 0 {
		t.Fatal(errorsIn(resp))
	}
	h.describe()
	h.send("without records", slices.Concat(b(10, 1, 9, 1, 11, 1), c(14, 1, 16, 1))...)
	h.again(h.c.Kill, h.withoutSnapshots)
	h.describe()
	h.send("without records and snapshots, after SIGKILL", slices.Concat(b(11, 1, 10, 1, 12, 1), c(14, 1, 20, 1), d(9, 1), a(4, 1))...)

	h.c.Broker(1).Set("producer.id.expiration.ms", "1000")
	h.c.Broker(1).Set("producer.id.expiration.check.interval.ms", "200")
	h.again(h.c.Stop, none)
	h.c.Await("expiry of all producers", func() bool { return len(h.known()) == 0 })
	h.send("after they have expired", slices.Concat(b(12, 1), c(99, 1))...)

	h.topic = "bare"
	h.create(h.topic)
	h.c.Broker(1).Set("producer.id.expiration.ms", "86400000")
	h.again(h.c.Stop, none)
	h.send("another topic", a(0, 1, 1, 1)...)
	h.again(h.c.Stop, h.withoutSnapshots)
	h.describe()
	h.send("after a restart without snapshots", a(1, 1)...)
	h.compare(producersOfKafka)
}

// compare holds what was written down against Kafka's. Behind a bar in a line of Kafka's stands what is meant to come
// instead.
func (h *producing) compare(kafkas string) {
	h.t.Helper()
	got, want := strings.Split(h.lines.String(), "\n"), strings.Split(kafkas, "\n")
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			kafka, ours, differs := strings.Cut(want[i], " | ")
			if w = kafka; differs && !onKafka() {
				w = kafka[:strings.LastIndex(kafka, ": ")+2] + ours
			}
		}
		if g != w {
			h.t.Errorf("line %d: %q, want %q", i+1, g, w)
		}
	}
}

//go:embed testdata/producers.txt
var producersOfKafka string
