package server

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/api/discovery"
)

// Of reads that go on at once the one that has begun last counts, whichever ends last; it may find that the node was made
// anew, with a lower version.
func TestFeaturesAreTheNewest(t *testing.T) {
	var f featureCache
	for _, read := range []struct{ turn, version, want int64 }{{1, 7, 7}, {3, 0, 0}, {2, 8, 0}, {4, -1, -1}} {
		if f.store(read.turn, &discovery.Features{Epoch: read.version}); f.features().Epoch != read.want {
			t.Errorf("after read %d: epoch %d, want %d", read.turn, f.features().Epoch, read.want)
		}
	}
}
