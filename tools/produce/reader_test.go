package produce

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
)

// show writes a record as headers|key|value, with <null> for null.
func show(r record) string {
	field := func(b []byte) string {
		if b == nil {
			return "<null>"
		}
		return string(b)
	}
	var headers []string
	for _, h := range r.headers {
		headers = append(headers, string(h.key)+"="+field(h.value))
	}
	return strings.Join(headers, ",") + "|" + field(r.key) + "|" + field(r.value)
}

func readAll(t *testing.T, in io.Reader, properties clientconf.Properties) ([]string, error) {
	t.Helper()
	f, err := parseFormat(properties)
	if err != nil {
		return nil, err
	}
	reader := newLineReader(in, f, nil)
	var got []string
	var r record
	for {
		switch err := reader.next(&r); {
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, err
		}
		got = append(got, show(r))
	}
}

func TestReader(t *testing.T) {
	key := clientconf.Properties{"parse.key": "true", "key.separator": ":"}
	both := clientconf.Properties{"parse.key": " TRUE ", "parse.headers": "true"}
	with := func(p clientconf.Properties, pairs ...string) clientconf.Properties {
		merged := clientconf.Properties{}
		merged.Merge(p)
		merged.Merge(clientconf.ParsePairs(pairs))
		return merged
	}
	tests := []struct {
		name       string
		properties clientconf.Properties
		in         string
		want       []string
		err        string
	}{
		{name: "nothing", in: ""},
		{name: "values", in: "a\nb\n", want: []string{"|<null>|a", "|<null>|b"}},
		{name: "no newline at the end", in: "a\nb", want: []string{"|<null>|a", "|<null>|b"}},
		{name: "empty lines", in: "\n\na\n", want: []string{"|<null>|", "|<null>|", "|<null>|a"}},
		{name: "carriage returns", in: "a\r\nb\rc\r\r\nd\r", want: []string{"|<null>|a", "|<null>|b", "|<null>|c", "|<null>|", "|<null>|d"}},
		{name: "no UTF-8", in: "\xff\xfe\n", want: []string{"|<null>|\xff\xfe"}},
		{name: "key", properties: key, in: "k:v\nk:v:w\n:v\nk:\n", want: []string{"|k|v", "|k|v:w", "||v", "|k|"}},
		{name: "no key", properties: key, in: "k:v\nno separator\n", want: []string{"|k|v"}, err: "No key separator found on line number 2: 'no separator'"},
		{name: "no key, ignored", properties: with(key, "ignore.error=true"), in: "no separator\n", want: []string{"|<null>|no separator"}},
		{name: "empty separator", properties: with(key, "key.separator="), in: "abc\n", want: []string{"||abc"}},
		{name: "headers and key", properties: both, in: "h1:a,h2:b\tk4\tv4\n", want: []string{"h1=a,h2=b|k4|v4"}},
		{name: "empty header", properties: both, in: "h:\tk\tv\n", want: []string{"h=|k|v"}},
		{name: "trailing separators", properties: both, in: "h:1,,\tk\tv\n", want: []string{"h=1|k|v"}},
		{name: "no headers", properties: both, in: "v\n", err: "No headers delimiter found on line number 1: 'v'"},
		{name: "no headers, ignored", properties: with(both, "ignore.error=true"), in: "v\n", want: []string{"|<null>|v"}},
		{name: "no header separator", properties: both, in: "h\tk\tv\n", err: "No header key separator found in pair 'h' on line number 1"},
		{name: "no header separator, ignored", properties: with(both, "ignore.error=true"), in: "h\tk\tv\n", want: []string{"h=<null>|k|v"}},
		{name: "other separators", properties: with(both, "headers.delimiter=;", "headers.separator=&", "headers.key.separator==", "key.separator=|"),
			in: "a=1&b=2;k|v\n", want: []string{"a=1,b=2|k|v"}},
		{name: "header pattern", properties: with(both, "headers.separator=[;&]"), in: "a:1;b:2&c:3\tk\tv\n", want: []string{"a=1,b=2,c=3|k|v"}},
		{name: "null marker", properties: with(both, "null.marker=N"), in: "N\tN\tN\nh:N\tk\tv\n", want: []string{"|<null>|<null>", "h=<null>|k|v"}},
		{name: "null header", properties: with(both, "null.marker=N"), in: "N:1\tk\tv\n", err: "Header keys should not be equal to the null marker 'N' as they can't be null"},
		{name: "Java's header pattern", properties: with(both, `headers.separator=[\p{Punct}&&[^:]]++`), in: "a:1;;b:2&\tk\tv\n", want: []string{"a=1,b=2|k|v"}},
		{name: "separators only", properties: both, in: ",,\tk\tv\n", want: []string{"|k|v"}},
		{name: "bad header pattern", properties: with(both, "headers.separator=(;"), in: "v\n", err: "Unclosed group near index 2\n(;"},
		{name: "same separators", properties: with(both, "headers.separator=:"), in: "v\n", err: "headers.separator and headers.key.separator may not be equal"},
		{name: "marker is separator", properties: with(key, "null.marker=:"), in: "v\n", err: "null.marker and key.separator may not be equal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, in := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytewise": iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, err := readAll(t, in, tt.properties)
				text := ""
				if err != nil {
					text = err.Error()
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) || text != tt.err {
					t.Errorf("%s: got %q and %q, want %q and %q", name, got, text, tt.want, tt.err)
				}
			}
		})
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 3*readBuffer+17)
	got, err := readAll(t, strings.NewReader(long+"\nshort\n"+long), nil)
	if err != nil || len(got) != 3 || got[0] != "|<null>|"+long || got[1] != "|<null>|short" || got[2] != got[0] {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

func TestBrokenInput(t *testing.T) {
	got, err := readAll(t, io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(errors.New("broken"))), nil)
	if err == nil || err.Error() != "read standard input: broken" || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

// FuzzReader checks the lines against a plain reading of Java's rule: \n, \r or \r\n end a line.
func FuzzReader(f *testing.F) {
	f.Add("a\r\nb\rc\n\n\rd")
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		got, err := readAll(t, strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "|<null>|")
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	})
}
