package dumplog

import (
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/tools/internal/javastring"
)

// TestTextIsReadAsJavaReadsIt: what is no UTF-8 becomes as many U+FFFD, written ? here, as Java 17 made of it.
func TestTextIsReadAsJavaReadsIt(t *testing.T) {
	for _, c := range [...]struct{ text, want string }{
		{"plain \u00e9 \u20ac \U0001f600", "plain \u00e9 \u20ac \U0001f600"},
		{"\x80a", "?a"},
		{"\xc3a", "?a"},
		{"\xe2\x82a", "?a"},
		{"\xe0\x80a", "??a"},
		{"\xf0\x9f\x98a", "?a"},
		{"\xf5\x80a", "??a"},
		{"\xed\xa0\x00", "?\x00"},
		{"\xed\xa0\x80x", "?x"},
		{"\xed\xa0", "?"},
		{"\xed\xbf\xc0", "??"},
		{"\xed\xa0\xbf\xbfa", "??a"},
		{"\xed\xc0a", "??a"},
		{"\xed", "?"},
		{"\xed\xa0\xed\xa0", "??"},
	} {
		if got := strings.ReplaceAll(string(javastring.AppendUTF8(nil, []byte(c.text))), "\ufffd", "?"); got != c.want {
			t.Errorf("%q is read as %q, want %q", c.text, got, c.want)
		}
	}
}
