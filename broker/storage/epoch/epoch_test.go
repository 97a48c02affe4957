package epoch

import (
	"slices"
	"testing"
)

func cache(t *testing.T, entries ...Entry) *Cache {
	t.Helper()
	c, err := NewCache(entries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAssign(t *testing.T) {
	tests := []struct {
		name   string
		before []Entry
		assign Entry
		want   []Entry
		change bool
	}{
		{"first", nil, Entry{0, 0}, []Entry{{0, 0}}, true},
		{"higher epoch", []Entry{{0, 0}}, Entry{1, 5}, []Entry{{0, 0}, {1, 5}}, true},
		{"same epoch, later offset", []Entry{{1, 5}}, Entry{1, 9}, []Entry{{1, 5}}, false},
		{"same epoch, same offset", []Entry{{1, 5}}, Entry{1, 5}, []Entry{{1, 5}}, false},
		{"same epoch, earlier offset", []Entry{{0, 0}, {1, 5}}, Entry{1, 3}, []Entry{{0, 0}, {1, 3}}, true},
		{"epoch without records is replaced", []Entry{{0, 0}, {1, 5}}, Entry{2, 5}, []Entry{{0, 0}, {2, 5}}, true},
		{"lower epoch drops the higher ones", []Entry{{0, 0}, {3, 5}, {4, 7}}, Entry{2, 9}, []Entry{{0, 0}, {2, 9}}, true},
		{"lower offset drops the later ones", []Entry{{0, 0}, {3, 5}, {4, 7}}, Entry{5, 5}, []Entry{{0, 0}, {5, 5}}, true},
		{"everything contradicts", []Entry{{3, 5}, {4, 7}}, Entry{1, 2}, []Entry{{1, 2}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cache(t, tt.before...)
			if changed, err := c.Assign(tt.assign.Epoch, tt.assign.Start); err != nil || changed != tt.change {
				t.Errorf("changed %v, %v, want %v", changed, err, tt.change)
			}
			if got := c.Entries(); !slices.Equal(got, tt.want) {
				t.Errorf("entries %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEndOffsetFor(t *testing.T) {
	c := cache(t, Entry{2, 10}, Entry{4, 20}, Entry{7, 35})
	tests := []struct {
		requested int32
		epoch     int32
		end       int64
	}{
		{Undefined, Undefined, Undefined},
		{0, 0, 10}, // before all known: the first known begin
		{2, 2, 20},
		{3, 2, 20},
		{4, 4, 35},
		{6, 4, 35},
		{7, 7, 99},
		{8, Undefined, Undefined},
	}
	for _, tt := range tests {
		if epoch, end := c.EndOffsetFor(tt.requested, 99); epoch != tt.epoch || end != tt.end {
			t.Errorf("EndOffsetFor(%d) = %d, %d, want %d, %d", tt.requested, epoch, end, tt.epoch, tt.end)
		}
	}
	if epoch, end := cache(t).EndOffsetFor(0, 99); epoch != Undefined || end != Undefined {
		t.Errorf("an empty cache answers %d, %d", epoch, end)
	}
}

func TestTruncate(t *testing.T) {
	all := []Entry{{2, 10}, {4, 20}, {7, 35}}
	tests := []struct {
		name    string
		do      func(*Cache) bool
		want    []Entry
		changed bool
	}{
		{"start before all", func(c *Cache) bool { return c.TruncateFromStart(5) }, all, false},
		{"start at the first", func(c *Cache) bool { return c.TruncateFromStart(10) }, all, false},
		{"start within an epoch", func(c *Cache) bool { return c.TruncateFromStart(25) }, []Entry{{4, 25}, {7, 35}}, true},
		{"start where one begins", func(c *Cache) bool { return c.TruncateFromStart(20) }, []Entry{{4, 20}, {7, 35}}, true},
		{"start behind all", func(c *Cache) bool { return c.TruncateFromStart(50) }, []Entry{{7, 50}}, true},
		{"end behind all", func(c *Cache) bool { return c.TruncateFromEnd(36) }, all, false},
		{"end where one begins", func(c *Cache) bool { return c.TruncateFromEnd(35) }, []Entry{{2, 10}, {4, 20}}, true},
		{"end within an epoch", func(c *Cache) bool { return c.TruncateFromEnd(15) }, []Entry{{2, 10}}, true},
		{"end before all", func(c *Cache) bool { return c.TruncateFromEnd(0) }, nil, true},
		{"negative end", func(c *Cache) bool { return c.TruncateFromEnd(-1) }, all, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cache(t, all...)
			if changed := tt.do(c); changed != tt.changed {
				t.Errorf("changed = %v", changed)
			}
			if got := c.Entries(); !slices.Equal(got, tt.want) {
				t.Errorf("entries %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLookups(t *testing.T) {
	c := cache(t, Entry{2, 10}, Entry{4, 20})
	for offset, want := range map[int64]int32{9: Undefined, 10: 2, 19: 2, 20: 4, 99: 4} {
		if got := c.EpochAt(offset); got != want {
			t.Errorf("EpochAt(%d) = %d, want %d", offset, got, want)
		}
	}
	if e, ok := c.Latest(); !ok || e != (Entry{4, 20}) {
		t.Errorf("Latest = %v, %v", e, ok)
	}
	if e, ok := c.Earliest(); !ok || e != (Entry{2, 10}) {
		t.Errorf("Earliest = %v, %v", e, ok)
	}
	if e, ok := c.Previous(4); !ok || e != (Entry{2, 10}) {
		t.Errorf("Previous(4) = %v, %v", e, ok)
	}
	if _, ok := c.Previous(2); ok {
		t.Error("Previous(2) finds an entry")
	}
	if !c.Clear() || c.Clear() {
		t.Error("the first Clear changes it, the second does not")
	}
	if _, ok := c.Latest(); ok {
		t.Error("Latest after Clear finds an entry")
	}
}

// A checkpoint may be stale or mangled: loading it keeps the invariants or refuses.
func TestNewCacheKeepsTheOrder(t *testing.T) {
	if got, want := cache(t, Entry{5, 50}, Entry{3, 30}, Entry{4, 20}).Entries(), []Entry{{4, 20}}; !slices.Equal(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
	if _, err := NewCache([]Entry{{-1, 0}}); err == nil {
		t.Error("a negative epoch is taken")
	}
	if _, err := cache(t).Assign(0, -1); err == nil {
		t.Error("a negative offset is taken")
	}
}

func BenchmarkAssignSameEpoch(b *testing.B) {
	c, _ := NewCache([]Entry{{1, 0}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Assign(1, 10); err != nil {
			b.Fatal(err)
		}
	}
}
