package properties

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseAsJavaDoes compares with what java.util.Properties made of the same bytes.
func TestParseAsJavaDoes(t *testing.T) {
	type set = map[string]string
	tests := []struct {
		name, text string
		want       set
	}{
		{"nothing", "", set{}},
		{"comments and separators", "# c\n! d\nlog.dirs = /a,/b \nbroker.id:3\nzk  v with  spaces\n",
			set{"log.dirs": "/a,/b ", "broker.id": "3", "zk": "v with  spaces"}},
		{"continued lines", "a=x\\\n   y\\\n\tz\nb=1\n", set{"a": "xyz", "b": "1"}},
		{"line ends", "a=1\r\nb=2\rc=3\n", set{"a": "1", "b": "2", "c": "3"}},
		{"continued at any line end", "a=b\\\r\n  c\\\rd\n", set{"a": "bcd"}},
		{"continued through an empty line", "a = c\\\n\n d=e", set{"a": "c", "d": "e"}},
		{"a continued name", "a\\\nb = c\n", set{"ab": "c"}},
		{"no comment inside", "a=b\\\n#c\nd=e\n", set{"a": "b#c", "d": "e"}},
		{"comments are not continued", "# comment \\\na=1\n", set{"a": "1"}},
		{"escapes in comments", "#\\u12\na=1\n", set{"a": "1"}},
		{"continued by nothing", "a = b\\", set{"a": "b"}},
		{"continued by the end", "a=b\\\n", set{"a": "b"}},
		{"continued by white space", "a=b\\\n   ", set{"a": "b"}},
		{"a name continued by nothing", "a\\", set{"a": ""}},
		{"three backslashes at the end", "a=b\\\\\\", set{"a": "b\\"}},
		{"a lone backslash", "\\\na=b\n", set{"a": "b"}},
		{"a lone backslash at the end", "a=b\n\\", set{"a": "b", "": ""}},
		{"a lone backslash in the last line", "\\\n", set{"": ""}},
		{"a lone backslash and white space", "\\\n \n", set{}},
		{"no name", "=5\n", set{"": "5"}},
		{"neither name nor value", ":\na=b\n", set{"": "", "a": "b"}},
		{"white space and no name", "  = y\n", set{"": "y"}},
		{"no value", "a\n b\nc=\nd =\n", set{"a": "", "b": "", "c": "", "d": ""}},
		{"the last one counts", "a=1\na=2\n", set{"a": "2"}},
		{"indentation", "\n\n   # indented comment\n   a=1\n", set{"a": "1"}},
		{"form feeds", "\f\t a\f=\fb\f\n", set{"a": "b\f"}},
		{"separators in values", "a==b\nc=:d\ne : = f\n", set{"a": "=b", "c": ":d", "e": "= f"}},
		{"escaped separators", "a\\:b\\=c\\ d = e\\:f\n", set{"a:b=c d": "e:f"}},
		{"escaped first characters", "\\#b=2\n\\!c=3\n\\=x=4", set{"#b": "2", "!c": "3", "=x": "4"}},
		{"escaped backslash", "a=1\\\\\nb=2\n", set{"a": `1\`, "b": "2"}},
		{"escapes", "a=\\u00e9\\t\\n\\f\\r\\q\\U0041\n", set{"a": "é\t\n\f\rqU0041"}},
		{"an escaped separator is none", "a\\u003db=c\n", set{"a=b": "c"}},
		{"zero", "a=\\u0000x\n", set{"a": "\x00x"}},
		{"a surrogate pair", "a=\\ud83d\\ude00\n", set{"a": "😀"}},
		{"half of one", "a=\\ud800b\n", set{"a": "\ufffdb"}},
		{"an escape continued", "a=\\u004\\\n1", set{"a": "A"}},
		{"Latin-1", "a=caf\xe9\n", set{"a": "café"}},
		{"a byte order mark is part of the name", "\xef\xbb\xbfa=b\n", set{"ï»¿a": "b"}},
		{"no expansion", "a=${b}\nb=${a}\n", set{"a": "${b}", "b": "${a}"}},
		{"a login", "sasl.jaas.config=org.x required \\\n  username=\"alice\" \\\n  password=\"p=q\";\n",
			set{"sasl.jaas.config": `org.x required username="alice" password="p=q";`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMalformedEscapesAreRefused(t *testing.T) {
	for _, text := range []string{"a=\\uXYZ1\n", "a=\\u12\n", "a=\\u12", "a=\\u", "\\u+041=b", "a=\\u 041", "a=\\u1_23\n"} {
		for before, line := range map[string]string{"": "line 1: ", "# c\r\nx=y\\\n z\n": "line 4: "} {
			_, err := Parse([]byte(before + text))
			if !errors.Is(err, ErrMalformed) || !strings.HasPrefix(err.Error(), line) {
				t.Errorf("%q: error %v, want one of %s", before+text, err, line)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("broker.id=1\nlisteners = A://[::1]:9092,\\\n B://h:1\n"))
	f.Add([]byte("a=\\u00e9\\\\\\\n!x\r\nzookeeper.connect: z\nlog.retention.ms 5\\"))
	f.Add([]byte("\\\n\\ud83d\\ude00 : \f\\#"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Parse(data)
		if err != nil {
			return
		}
		var written []byte
		for name, value := range set {
			written = Append(written, name, value)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(set, again); diff != "" {
			t.Errorf("written as %q: %s", written, diff)
		}
	})
}
