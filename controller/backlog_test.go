package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// short forms: "L a0=3 b1=2+" is a LeaderAndIsr request with leader epochs, + for new; "U a0=3", the same
// as metadata; "S a0 b1!" a StopReplica request, ! for delete. Topics have one letter.
func parseRequest(text string) kmsg.Request {
	kind, rest, _ := strings.Cut(text, " ")
	lisr, umr, stop := kmsg.NewPtrLeaderAndISRRequest(), kmsg.NewPtrUpdateMetadataRequest(), kmsg.NewPtrStopReplicaRequest()
	for word := range strings.FieldsSeq(rest) {
		var topic rune
		var index, epoch int32
		fmt.Sscanf(strings.TrimRight(word, "+!"), "%c%d=%d", &topic, &index, &epoch)
		name := string(topic)
		switch kind {
		case "L":
			if n := len(lisr.TopicStates); n == 0 || lisr.TopicStates[n-1].Topic != name {
				lisr.TopicStates = append(lisr.TopicStates, kmsg.LeaderAndISRRequestTopicState{Topic: name})
			}
			t := &lisr.TopicStates[len(lisr.TopicStates)-1]
			t.PartitionStates = append(t.PartitionStates, kmsg.LeaderAndISRRequestTopicPartition{
				Partition: index, LeaderEpoch: epoch, IsNew: strings.HasSuffix(word, "+")})
		case "U":
			if n := len(umr.TopicStates); n == 0 || umr.TopicStates[n-1].Topic != name {
				umr.TopicStates = append(umr.TopicStates, kmsg.UpdateMetadataRequestTopicState{Topic: name})
			}
			t := &umr.TopicStates[len(umr.TopicStates)-1]
			t.PartitionStates = append(t.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{Partition: index, LeaderEpoch: epoch})
		case "S":
			if n := len(stop.Topics); n == 0 || stop.Topics[n-1].Topic != name {
				stop.Topics = append(stop.Topics, kmsg.StopReplicaRequestTopic{Topic: name})
			}
			t := &stop.Topics[len(stop.Topics)-1]
			t.PartitionStates = append(t.PartitionStates, kmsg.StopReplicaRequestTopicPartitionState{
				Partition: index, Delete: strings.HasSuffix(word, "!")})
		}
	}
	return map[string]kmsg.Request{"L": lisr, "U": umr, "S": stop}[kind]
}

func formatRequest(req kmsg.Request) string {
	var b strings.Builder
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		b.WriteString("L")
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, " %s%d=%d", t.Topic, p.Partition, p.LeaderEpoch)
				if p.IsNew {
					b.WriteString("+")
				}
			}
		}
	case *kmsg.UpdateMetadataRequest:
		b.WriteString("U")
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, " %s%d=%d", t.Topic, p.Partition, p.LeaderEpoch)
			}
		}
	case *kmsg.StopReplicaRequest:
		b.WriteString("S")
		for _, t := range req.Topics {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, " %s%d", t.Topic, p.Partition)
				if p.Delete {
					b.WriteString("!")
				}
			}
		}
	}
	return b.String()
}

func TestBacklogMerges(t *testing.T) {
	tests := []struct {
		name      string
		add, want []string
	}{
		{"one of a kind stays", []string{"L a0=1", "U a0=1", "S b0"}, []string{"L a0=1", "U a0=1", "S b0"}},
		{"metadata go ahead, leadership behind them", []string{"L a0=1+", "U a0=1", "L a1=1+ b0=1+", "U a1=1 b0=1"},
			[]string{"U a0=1 a1=1 b0=1", "L a0=1+ a1=1+ b0=1+"}},
		{"the last word counts, but new stays new", []string{"L a0=1+ a1=1", "L a0=2", "U a0=1", "U a0=2"}, []string{"L a0=2+ a1=1", "U a0=2"}},
		{"delete stays delete", []string{"S a0! a1", "S a0 a1!"}, []string{"S a0! a1!"}},
		{"what is stopped is not started by an older request", []string{"L a0=1 a1=1", "S a0!", "L a1=2"}, []string{"L a0=1 a1=1", "S a0!", "L a1=2"}},
		{"what is started is not stopped by an older request", []string{"S a0!", "L a0=1+", "S a1"}, []string{"S a0!", "L a0=1+", "S a1"}},
		{"others pass each other", []string{"L a0=1", "S b0!", "L a1=2", "S b1"}, []string{"L a0=1 a1=2", "S b0! b1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b backlog
			for _, text := range tt.add {
				b.add(parseRequest(text))
			}
			var got []string
			for req := b.take(); req != nil; req = b.take() {
				got = append(got, formatRequest(req))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// replica of a broker in TestBacklogEndsTheSame.
type toldReplica struct {
	epoch, metadata int32
	running         bool
	deletions       int
}

func tell(told map[string]toldReplica, req kmsg.Request) {
	text := formatRequest(req)
	for _, word := range strings.Fields(text)[1:] {
		name, rest, _ := strings.Cut(strings.TrimRight(word, "+!"), "=")
		var epoch int32
		fmt.Sscan(rest, &epoch)
		r := told[name]
		switch {
		case text[0] == 'U':
			r.metadata = epoch
		case text[0] == 'L':
			r.epoch, r.running = epoch, true
		default:
			r.running = false
			if strings.HasSuffix(word, "!") {
				r.deletions++
				r.epoch = 0
			}
		}
		told[name] = r
	}
}

// TestBacklogEndsTheSame sends random requests through a backlog that is emptied now and then, and checks
// that a broker ends where it would without merging, that no deletion that comes before a start is
// left out, and that requests once handed out are not changed any more.
func TestBacklogEndsTheSame(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b backlog
		plain, merged := map[string]toldReplica{}, map[string]toldReplica{}
		texts := map[kmsg.Request]string{}
		largest := 0
		for range 40 {
			var words []string
			kind := "LUS"[r.IntN(3)]
			for _, topic := range "abc" {
				for index := range 3 {
					if r.IntN(4) > 0 {
						continue
					}
					word := fmt.Sprintf("%c%d", topic, index)
					if kind != 'S' {
						word += fmt.Sprintf("=%d", 1+r.IntN(1000))
					}
					words = append(words, word+[]string{"", map[byte]string{'L': "+", 'U': "", 'S': "!"}[kind]}[r.IntN(2)])
				}
			}
			req := parseRequest(string(kind) + " " + strings.Join(words, " "))
			texts[req] = formatRequest(req)
			tell(plain, req)
			b.add(req)
			largest = max(largest, len(b.waiting))
			if r.IntN(10) == 0 {
				tell(merged, b.take())
			}
		}
		for req := b.take(); req != nil; req = b.take() {
			tell(merged, req)
		}
		for name, want := range plain {
			got := merged[name]
			if got.metadata != want.metadata || got.running != want.running || got.running && got.epoch != want.epoch || (got.deletions == 0) != (want.deletions == 0) {
				t.Fatalf("seed %d: %s ends as %+v, without merging as %+v", seed, name, got, want)
			}
		}
		for req, text := range texts {
			if now := formatRequest(req); now != text {
				t.Fatalf("seed %d: a request was changed from %q to %q", seed, text, now)
			}
		}
	}
}

// TestBacklogIsBounded checks that a broker that is silent for long costs no more than the cluster is large.
func TestBacklogIsBounded(t *testing.T) {
	var b backlog
	for i := range 10_000 {
		b.add(parseRequest(fmt.Sprintf("L a%d=%d", i%7, i)))
		b.add(parseRequest(fmt.Sprintf("U a%d=%d b0=%d", i%7, i, i)))
		b.add(parseRequest(fmt.Sprintf("S c%d!", i%5)))
	}
	if len(b.waiting) != 3 || !slices.ContainsFunc(b.waiting, func(r kmsg.Request) bool { return formatRequest(r) == "S c0! c1! c2! c3! c4!" }) {
		t.Errorf("%d requests wait, want 3", len(b.waiting))
	}
}
