package javaregex

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct{ pattern, matches, misses string }{
		{"orders", "orders", "orders2 my-orders"},
		{"a|b.*", "a b bc", "ab"},
		{"(?i)a|b", "A B", "ab"},
		{"(?!__).*", "orders _a", "__consumer_offsets __"},
		{"^(?!__)(?!test).*$", "orders", "__a test tested"},
		{"(?!(a|b)x)[ab].*", "ay b", "ax bxy c"},
		{"(?!orders$).*", "orders2", "orders"},
		{"(?=.*x)a.*", "ax abxc", "a xa"},
		{"(?!a).*|ab", "b ab", "a ac"},
		{`(?!a\)b|[)|]).*`, "aa (", `a)b )x |y`},
		{`(?![^]]x).*`, "]x a", "ax"},
		{`(?![]]x).*`, "ax a", "]x"},
		{"a(?:b|c)|(?!x).y", "ab ac zy", "xy a"},
	}
	for _, tt := range tests {
		p, err := Compile(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for name := range strings.FieldsSeq(tt.matches) {
			if !p.Match(name) {
				t.Errorf("%q does not match %s", tt.pattern, name)
			}
		}
		for name := range strings.FieldsSeq(tt.misses) {
			if p.Match(name) {
				t.Errorf("%q matches %s", tt.pattern, name)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for _, pattern := range []string{"or[", "(?!a", "(?!a[).*", "a(?!b).*", "(?<=a)b", `(a)\1`, "a)", "a)|(b", "(?!a))b"} {
		if _, err := Compile(pattern); err == nil {
			t.Errorf("%q is no error", pattern)
		}
	}
}

// TestExcluding checks that what is included and not excluded is what the pattern matches.
func TestExcluding(t *testing.T) {
	names := []string{"a", "ab", "b", "__a", "test", "orders"}
	for pattern, possible := range map[string]bool{
		"a|b": true, "(?!__).*": true, "(?!a)(?!b).*": true, "(?=a).*": false, "(?!a).*|ab": false,
	} {
		p, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		include, exclude, ok := p.Excluding()
		if ok != possible {
			t.Errorf("%q: possible is %v", pattern, ok)
		}
		for _, name := range names {
			got := ok && regexp.MustCompile(include).MatchString(name)
			for _, e := range exclude {
				got = got && !regexp.MustCompile(e).MatchString(name)
			}
			if ok && got != p.Match(name) {
				t.Errorf("%q and %s: %v", pattern, name, got)
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("(?!a|[)]).*|b", "c")
	f.Add(`^(?=\Qx`, "x")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := Compile(pattern)
		if err != nil || strings.Contains(pattern, "(?!") || strings.Contains(pattern, "(?=") {
			return
		}
		if want := regexp.MustCompile("^(?:" + pattern + ")$").MatchString(name); p.Match(name) != want {
			t.Errorf("%q matches %q: %v", pattern, name, !want)
		}
	})
}
