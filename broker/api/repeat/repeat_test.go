package repeat

import "testing"

func TestGuard(t *testing.T) {
	var g Guard[string]
	for i := range 10 {
		key := string(rune('a' + i))
		if g.Refuse(key) {
			t.Fatalf("%s is refused the first time", key)
		}
		g.Answered(key, MaxBytes)
	}
	g.Answered("small", MaxBytes/4)
	for i := range 2 {
		if g.Refuse("small") {
			t.Errorf("a quarter of what repeats may have is refused at its repeat %d", i+1)
		}
	}
	if !g.Refuse("a") {
		t.Error("a repeat is answered that makes the sum of repeats exceed the bound")
	}
	for i := range 3 {
		if got, want := g.Refuse("small"), i == 2; got != want {
			t.Errorf("repeat %d of a quarter: refused %v, want %v", i+3, got, want)
		}
	}
	g.Answered("a", 1) // it has named less of the same
	if !g.Refuse("a") {
		t.Error("a short answer in between makes a repeat pass for a short one")
	}
	if g.Refuse("new") {
		t.Error("who comes first is refused because others are repeated")
	}
}
