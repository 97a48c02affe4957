package javastring

import (
	"strings"
	"testing"
)

// TestWriter: text comes through whole, however it is cut, and what is none as Java's decoder has it.
func TestWriter(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                     "plain",
		"h\u00e9 \u20ac \U0001f600": "h\u00e9 \u20ac \U0001f600",
		"a\xffb":                    "a\ufffdb",
		"a\xf0\x9f\x98":             "a\ufffd",
		"\xe2\x82|":                 "\ufffd|",
		"\xc0\xaf":                  "\ufffd\ufffd",
	} {
		for size := 1; size <= len(text); size++ {
			var out strings.Builder
			w := NewWriter(&out)
			for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
				piece := rest[:min(size, len(rest))]
				if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := w.Flush(); err != nil || out.String() != want {
				t.Errorf("%q in pieces of %d is written as %q, want %q; %v", text, size, out.String(), want, err)
			}
		}
	}
}
