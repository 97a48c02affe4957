package record

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestLZ4Levels: each of Kafka's levels but the first, which is as the second, has an effect of its own, from little work
// to much. The default, 9, is not one of them: it stands for another, faster compressor.
func TestLZ4Levels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for text.Len() < 4*lz4BlockBytes {
		fmt.Fprintf(&text, "%d item %d of %x, ", rng.IntN(50), rng.IntN(5000), rng.IntN(1<<16))
	}
	size := func(level int) int {
		return len(build(t, MagicV2, BuilderOptions{Codec: LZ4, Level: level}, Record{Value: text.Bytes()}))
	}
	before := size(1)
	if second := size(2); second != before {
		t.Errorf("%d bytes at level 1, %d at 2", before, second)
	}
	for _, level := range []int{3, 4, 5, 6, 7, 8, 10} {
		now := size(level)
		if now >= before {
			t.Errorf("level %d: %d bytes, %d at the level before", level, now, before)
		}
		before = now
	}
	if last := size(17); last > before {
		t.Errorf("level 17: %d bytes, %d at level 10", last, before)
	}
}
