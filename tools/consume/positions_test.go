package consume

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func testPositions(t *testing.T, properties clientconf.Properties) *positions {
	t.Helper()
	properties["bootstrap.servers"] = "127.0.0.1:1"
	config, err := clientconf.New(clientconf.Consumer, properties)
	if err != nil {
		t.Fatal(err)
	}
	p := newPositions(config)
	p.use(nil)
	return p
}

// assigned are partitions with the offsets that a group has committed.
func assigned(offsets ...int64) map[string]map[int32]kgo.Offset {
	partitions := map[int32]kgo.Offset{}
	for i, at := range offsets {
		partitions[int32(i)] = kgo.NewOffset().At(at)
	}
	return map[string]map[int32]kgo.Offset{"t": partitions}
}

// TestPositions checks what is committed of partitions that come and go.
func TestPositions(t *testing.T) {
	p := testPositions(t, clientconf.Properties{})
	want := func(what, wanted string) {
		t.Helper()
		got := ""
		for i := range int32(3) {
			if at, ok := p.uncommitted()["t"][i]; ok {
				got += fmt.Sprintf("%d:%d ", i, at.Offset)
			}
			p.mu.changed = true
		}
		if got != wanted {
			t.Errorf("%s: %q is to be committed, want %q", what, got, wanted)
		}
	}
	if _, err := p.begin(t.Context(), assigned(5, 0, 7)); err != nil {
		t.Fatal(err)
	}
	want("nothing printed", "0:5 1:0 2:7 ")
	p.printed(&kgo.Record{Topic: "t", Partition: 1, Offset: 9})
	p.printed(nil)
	want("printed", "0:5 1:10 2:7 ")
	p.forget(map[string][]int32{"t": {1, 2}})
	p.printed(&kgo.Record{Topic: "t", Partition: 1, Offset: 10})
	want("lost", "0:5 ")
	p.mu.next["t"][1] = kgo.EpochOffset{Epoch: -1, Offset: -1}
	want("not known yet", "0:5 ")
	p.printed(&kgo.Record{Topic: "t", Partition: 1, Offset: 3})
	want("known by what was printed", "0:5 1:4 ")
	p.mu.changed = false
	if all := p.uncommitted(); len(all) > 0 {
		t.Errorf("%v is committed again", all)
	}
}

// TestPositionsWithoutCommits checks enable.auto.commit=false and auto.offset.reset=none.
func TestPositionsWithoutCommits(t *testing.T) {
	p := testPositions(t, clientconf.Properties{"enable.auto.commit": "false", "auto.offset.reset": "none"})
	if _, err := p.begin(t.Context(), assigned(5)); err != nil {
		t.Fatal(err)
	}
	if all := p.uncommitted(); len(all) > 0 {
		t.Errorf("%v is committed", all)
	}
	_, err := p.begin(t.Context(), assigned(5, -1, -1))
	exception, ok := errors.AsType[*throwable.Exception](err)
	if !ok || exception.Message != "Undefined offset with no reset policy for partitions: [t-1, t-2]" {
		t.Errorf("got %v", err)
	}
}

// TestCheckConfig checks what is refused before anything is connected.
func TestCheckConfig(t *testing.T) {
	for _, tt := range []struct {
		properties clientconf.Properties
		want       string
	}{
		{clientconf.Properties{}, ""},
		{clientconf.Properties{"session.timeout.ms": "3000"}, "Heartbeat must be set lower than the session timeout"},
		{clientconf.Properties{"session.timeout.ms": "3000", "group.protocol": "consumer"}, ""},
		{clientconf.Properties{"group.remote.assignor": "uniform"}, "group.remote.assignor cannot be set when group.protocol=CLASSIC"},
		{clientconf.Properties{"group.remote.assignor": "uniform", "group.protocol": "Consumer"}, ""},
	} {
		config, err := clientconf.New(clientconf.Consumer, tt.properties)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for err := checkConfig(config); err != nil; err = errors.Unwrap(err) {
			got = err.Error() // the innermost
		}
		if got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.properties, got, tt.want)
		}
	}
}
