package excerpt

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	tests := []struct {
		name, text string
		limit      int
		want       string
	}{
		{"short", "orders", 6, "orders"},
		{"long", "orders", 5, "order... (1 more bytes)"},
		{"empty", "", 0, ""},
		{"nothing of it", "é", 0, "... (2 more bytes)"},
		{"whole characters", "aéé", 4, "aé... (2 more bytes)"},
		{"four bytes", "a😀b", 4, "a... (5 more bytes)"},
		{"not UTF-8", strings.Repeat("\x80", 12), 8, "\x80\x80\x80\x80... (8 more bytes)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(tt.text, tt.limit); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
