package jacksoncsv

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

var (
	noGroup = Schema{Class: "CU$CsvRecordNoGroup", Columns: []Column{{"topic", Text}, {"partition", Int}, {"offset", Long}}}
	grouped = Schema{Class: "CU$CsvRecordWithGroup", Columns: []Column{{"group", Text}, {"topic", Text}, {"partition", Int}, {"offset", Long}}}
)

func show(values []Value, err error) string {
	if err != nil {
		text := ""
		for ; err != nil; err = errors.Unwrap(err) {
			text += " << " + throwable.String(err)
		}
		return strings.ReplaceAll(text, "com.fasterxml.jackson", "CFJ")
	}
	var texts []string
	for i, v := range values {
		if i < len(values)-2 {
			texts = append(texts, v.Text)
		} else {
			texts = append(texts, fmt.Sprint(v.Number))
		}
	}
	return "[" + strings.Join(texts, "|") + "]"
}

// TestRead compares with what Kafka's CsvUtils answered to each line, alternately without and with a group.
func TestRead(t *testing.T) {
	data, err := os.ReadFile("testdata/lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	escapes := strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`)
	unescape := strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t")
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		cut := strings.LastIndex(line, " => ")
		text, want := unescape.Replace(line[:cut]), line[cut+len(" => "):]
		schema := noGroup
		if i%2 == 1 {
			schema = grouped
		}
		if got := escapes.Replace(show(schema.Read(text))); got != want {
			t.Errorf("%q is\n%s, want\n%s", text, got, want)
		}
	}
}

func TestAppend(t *testing.T) {
	tests := map[string]string{
		"a": "a", "": "", "a b": `"a b"`, "a,b": `"a,b"`, `a"b`: `"a""b"`, "a-b": "a-b", "a.b": "a.b", "a/b": "a/b", "#a": `"#a"`, "é": "é",
		"abcdefghijklmnopqrstuvwx": "abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwxy": `"abcdefghijklmnopqrstuvwxy"`,
	}
	for group, want := range tests {
		got := string(grouped.Append(nil, Value{Text: group}, Value{Text: "t"}, Value{Number: -3}, Value{Number: 99999999999}))
		if want += ",t,-3,99999999999\n"; got != want {
			t.Errorf("%q gives %q, want %q", group, got, want)
		}
	}
}

// FuzzRead checks that what was read is read again once it has been written.
func FuzzRead(f *testing.F) {
	f.Add("g,orders,0,1")
	f.Add(`"a ""b""",t,-1,+5,`)
	f.Fuzz(func(t *testing.T, line string) {
		values, err := grouped.Read(line)
		if err != nil || strings.ContainsAny(line, "\r\n") {
			return
		}
		written := strings.TrimSuffix(string(grouped.Append(nil, values...)), "\n")
		again, err := grouped.Read(written)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(values) {
			t.Errorf("%q was read as %v, written as %q and read as %v, %v", line, values, written, again, err)
		}
	})
}
