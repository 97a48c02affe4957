package topics

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

// javaBase64 is what Java's decoder says of texts: a text, a tab, and how many bytes it stands for or what is wrong.
//
//go:embed testdata/base64.tsv
var javaBase64 string

func TestDecodeBase64(t *testing.T) {
	for line := range strings.Lines(javaBase64) {
		text, want, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		raw, err := decodeBase64([]byte(text))
		got := fmt.Sprintf("ok %d", len(raw))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAQ==")
	f.Add("A=B")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := parseID(text)
		if err != nil {
			return
		}
		if again, err := parseID(id.String()); err != nil || again != id {
			t.Errorf("%q is %s, which is read as %s, %v", text, id, again, err)
		}
	})
}
