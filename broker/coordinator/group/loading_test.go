package group

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// TestLoadingHistories loads random histories of more keys than are found without the map, so that some of them share
// a place, and compares with the last of each key.
func TestLoadingHistories(t *testing.T) {
	for seed := range uint64(20) {
		h := newLoadedHistory(seed)
		for range 20_000 {
			if err := h.step(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		got := map[topic.Partition]int64{}
		for _, g := range h.loading.Groups(time.UnixMilli(1)) {
			for _, o := range g.Fetch(nil, false) {
				got[o.Partition] = o.Offset
			}
		}
		want := map[topic.Partition]int64{}
		for p, o := range h.want {
			want[p] = o.Offset.Offset
		}
		if !maps.Equal(got, want) {
			t.Errorf("seed %d: %d offsets are loaded, want %d, or they differ", seed, len(got), len(want))
		}
	}
}

// loadedHistory is a Loading, and what it is to have found.
type loadedHistory struct {
	rand    *rand.Rand
	loading *Loading
	keys    int32
	batch   int64
	want    map[topic.Partition]stored
	pending map[int64]map[topic.Partition]stored
}

func newLoadedHistory(seed uint64) *loadedHistory {
	h := &loadedHistory{
		rand: rand.New(rand.NewPCG(seed, 0)), loading: NewLoading(&Config{}), keys: 3,
		want: map[topic.Partition]stored{}, pending: map[int64]map[topic.Partition]stored{},
	}
	if seed%2 == 1 {
		h.keys = 2 * recentKeys
	}
	return h
}

// step adds a record of a random key: an offset, mostly, a tombstone, or one that cannot be understood; within a
// transaction or not. Or it ends a transaction.
func (h *loadedHistory) step() error {
	h.batch++
	producer := int64(h.rand.IntN(4)) - 2 // without a transaction if negative
	into := h.want
	if producer >= 0 {
		if h.rand.IntN(4) == 0 {
			h.end(producer, h.rand.IntN(2) == 0)
			return nil
		}
		if into = h.pending[producer]; into == nil {
			into = map[topic.Partition]stored{}
			h.pending[producer] = into
		}
	}
	p := topic.Partition{Topic: "t", Index: h.rand.Int32N(h.keys)}
	at := &Place{Batch: h.batch, ProducerID: producer, Transactional: producer >= 0}
	k := kmsg.OffsetCommitKey{Version: int16(h.rand.IntN(2)), Group: "g", Topic: p.Topic, Partition: p.Index}
	key, o := k.AppendTo(nil), Offset{Offset: h.rand.Int64N(1000), LeaderEpoch: -1, ExpireTimestamp: -1}
	switch h.rand.IntN(8) {
	case 0:
		delete(into, p)
		return h.loading.Add(key, nil, at, time.UnixMilli(1))
	case 1:
		if err := h.loading.Add(key, []byte{0, 3, 1}, at, time.UnixMilli(1)); err == nil {
			return fmt.Errorf("an offset of three bytes is understood")
		}
		return nil
	}
	into[p] = stored{o, h.batch}
	return h.loading.Add(key, offsetValue(&o), at, time.UnixMilli(1))
}

func (h *loadedHistory) end(producer int64, commit bool) {
	h.loading.EndTransaction(producer, commit)
	for p, o := range h.pending[producer] {
		if had, ok := h.want[p]; commit && (!ok || had.batch < o.batch) {
			h.want[p] = o
		}
	}
	delete(h.pending, producer)
}
