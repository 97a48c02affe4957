package fetcher

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// TestSet replays what a loop does to its set:
//
//	add a-0 id=1 offset=5 epoch=2   begins to copy (id=0: the topic has none)
//	remove a-0
//	next                            prints the next request
//	answered session                the leader answers with a session id
//	lost                            the leader does not know the session
//	restart                         the connection has failed
//	advance a-0 offset=6 behind=1   records were appended, more are committed
//	fail a-0                        the leader answered with an error
//	hold 1s                         what is not caught up is throttled
//	pass 10ms                       time passes
func TestSet(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := newSet(limits{maxWait: 500 * time.Millisecond, minBytes: 1, maxBytes: 10, partitionMaxBytes: 1, pause: time.Second})
		now := time.Unix(0, 0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var name topic.Partition
			if len(d.CmdArgs) > 0 {
				n, index, _ := strings.Cut(d.CmdArgs[0].Key, "-")
				i, _ := strconv.Atoi(index)
				name = topic.Partition{Topic: n, Index: int32(i)}
			}
			switch d.Cmd {
			case "add":
				place := replica.Place{Offset: option(d, "offset"), LastEpoch: int32(option(d, "epoch"))}
				s.add(replica.Following{}, name, topic.ID{byte(option(d, "id"))}, place)
			case "remove":
				s.remove(name)
			case "next":
				return shown(s.next(now))
			case "answered":
				id, _ := strconv.Atoi(d.CmdArgs[0].Key)
				s.answered(int32(id))
			case "lost":
				s.lost()
			case "restart":
				s.restart()
			case "advance":
				s.advance(s.all[name], replica.Place{Offset: option(d, "offset")}, option(d, "behind") == 0)
			case "hold":
				by, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				s.hold(now, now.Add(by), func(p *partition) bool { return !p.caughtUp })
			case "fail":
				return fmt.Sprintf("out for %v\n", s.fail(s.all[name], now))
			case "pass":
				by, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				now = now.Add(by)
			}
			return ""
		})
	})
}

func option(d *datadriven.TestData, key string) int64 {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			n, _ := strconv.ParseInt(a.Vals[0], 10, 64)
			return n
		}
	}
	return 0
}

func shown(req *wire.FetchRequest, wait time.Duration) string {
	if req == nil {
		return fmt.Sprintf("nothing for %v\n", wait)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v%d session %d/%d, wait %d ms:", req.Version, req.SessionID, req.SessionEpoch, req.MaxWait)
	topics := slices.Clone(req.Topics)
	slices.SortStableFunc(topics, func(a, b wire.FetchTopic) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range topics {
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, " %s-%d@%d", t.Name, p.Index, p.FetchOffset)
		}
	}
	for _, t := range req.Forgotten {
		slices.Sort(t.Partitions)
		for _, index := range t.Partitions {
			fmt.Fprintf(&b, " without %s%d-%d", t.Name, t.ID[0], index)
		}
	}
	return b.String() + "\n"
}

func BenchmarkSetNext(b *testing.B) {
	s := newSet(limits{pause: time.Second})
	var all []*partition
	for i := range 1000 {
		name := topic.Partition{Topic: fmt.Sprint("topic-", i/10), Index: int32(i % 10)}
		s.add(replica.Following{}, name, topic.ID{1, byte(i / 10)}, replica.Place{})
		all = append(all, s.all[name])
	}
	s.next(time.Now())
	s.answered(1)
	offset := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		offset++
		for _, p := range all[:20] {
			s.advance(p, replica.Place{Offset: offset}, true)
		}
		if req, _ := s.next(time.Time{}); len(req.Topics) != 2 {
			b.Fatal("not 2 topics")
		}
		s.answered(1)
	}
}
