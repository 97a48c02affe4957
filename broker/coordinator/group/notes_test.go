package group

import (
	"strings"
	"testing"
)

// TestReasonIsShort protects the log from what a client gives as its reason.
func TestReasonIsShort(t *testing.T) {
	long := strings.Repeat("é", longestReason) // two bytes each: the limit lies within one
	for reason, want := range map[string]string{
		"":                     "",
		"rebalance":            "; client reason: rebalance",
		long[:longestReason-1]: "; client reason: " + long[:longestReason-1],
		long:                   "; client reason: " + long[:longestReason-1] + "... (256 more bytes)",
	} {
		if got := because(reason); got != want {
			t.Errorf("because(%q) = %q, want %q", reason, got, want)
		}
	}
}
