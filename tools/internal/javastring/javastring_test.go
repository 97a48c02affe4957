package javastring

import (
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":     {""},
		",":    {},
		",,":   {},
		"a":    {"a"},
		"a,":   {"a"},
		",a":   {"", "a"},
		"a,,b": {"a", "", "b"},
		" ,":   {" "},
	} {
		if got := Split(text, ","); !slices.Equal(got, want) {
			t.Errorf("%q has the parts %q, want %q", text, got, want)
		}
	}
}
