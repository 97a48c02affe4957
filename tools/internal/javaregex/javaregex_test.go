package javaregex

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "have Java answer anew")

// recorded is what Java said: names in the first line, and then in each an expression and, behind a tab, the names that it
// matches or, behind an exclamation mark, its error.
const recorded = "testdata/java.tsv"

// readRecorded returns the names and the answers, by expression; with -rewrite it asks Java first.
func readRecorded(t *testing.T) (names []string, answers [][2]string) {
	t.Helper()
	data, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		data = ask(t, data)
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	for line := range strings.Lines(rest) {
		expression, answer, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		answers = append(answers, [2]string{expression, answer})
	}
	return strings.Fields(first), answers
}

// ask has Java answer the questions among what was recorded, and records it.
func ask(t *testing.T, data []byte) []byte {
	t.Helper()
	var questions bytes.Buffer
	for line := range bytes.Lines(data) {
		question, _, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("\t"))
		questions.Write(append(question, '\n'))
	}
	java := exec.CommandContext(t.Context(), "java", "testdata/Answers.java")
	java.Stdin, java.Stderr = &questions, os.Stderr
	data, err := java.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recorded, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnswersAsJava(t *testing.T) {
	names, answers := readRecorded(t)
	for _, answer := range answers {
		if got := answerTo(t, answer[0], names); got != answer[1] {
			t.Errorf("%s\n got %s\nwant %s", answer[0], got, answer[1])
		}
	}
}

func answerTo(t *testing.T, expression string, names []string) string {
	p, err := Compile(expression)
	if err != nil {
		return "! " + strings.ReplaceAll(err.Error(), "\n", `\n`)
	}
	var matching []string
	for _, name := range names {
		matches, err := p.Match(name)
		if err != nil {
			t.Errorf("%s and %s: %v", expression, name, err)
		}
		if matches {
			matching = append(matching, name)
		}
	}
	return strings.Join(matching, " ")
}

// TestRefusesWhatIsNotBuilt holds that nothing is taken for something else.
func TestRefusesWhatIsNotBuilt(t *testing.T) {
	for _, expression := range []string{`\X`, `\b{g}`, `\N{DIGIT ONE}`, `\p{InGreek}`, `\p{IsGrek}`, `(?c)a`, `(?i-c)a`, `[a-bc&&]`} {
		_, err := Compile(expression)
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%s gives %v", expression, err)
		}
	}
}

// TestGivesUp holds that no expression keeps a tool busy for ever.
func TestGivesUp(t *testing.T) {
	for _, expression := range []string{`(?:(a|aa)+)\1?b`, `(?:a?){60}(?:a{1,2}){60}b`, `(((((a*)*)*)*)*)*\6b`} {
		begin := time.Now()
		p, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if matches, err := p.Match(strings.Repeat("a", 240)); matches || err == nil || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s: %v, %v after %v", expression, matches, err, time.Since(begin))
		}
	}
	for _, expression := range []string{`(a|b)*`, `a*?b`, `(?:a|b)*c`, `(?:(?:a))*`} { // the stack has an end, too
		p, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if matches, err := p.Match(strings.Repeat("a", 1_000_000)); matches || err == nil {
			t.Errorf("%s: %v, %v for a long text", expression, matches, err)
		}
	}
	p, err := Compile("(?:(?:[a-z]+)*-)*!") // what Java finishes is finished, too
	if err != nil {
		t.Fatal(err)
	}
	if matches, err := p.Match(strings.Repeat("a", 240)); matches || err != nil {
		t.Errorf("%v, %v", matches, err)
	}
}

// TestSplit holds what Java 17's Pattern.split was seen to return.
func TestSplit(t *testing.T) {
	tests := []struct {
		expression, text string
		want             []string
	}{
		{`,`, "a,b", []string{"a", "b"}},
		{`,`, "a,,b,,", []string{"a", "", "b"}},
		{`,`, ",", []string{}},
		{`,`, "", []string{""}},
		{`,`, ",a", []string{"", "a"}},
		{`[;&]`, "a;b&c", []string{"a", "b", "c"}},
		{``, "abc", []string{"a", "b", "c"}},
		{`x*`, "axxb", []string{"a", "", "b"}},
		{`\p{Punct}++`, "a--b..c", []string{"a", "b", "c"}},
		{`(?<=a)`, "abab", []string{"a", "ba", "b"}},
		{`(.)\1`, "abbcddd", []string{"a", "c", "d"}},
		{`|`, "ab", []string{"a", "b"}},
		{`^a`, "aab", []string{"", "ab"}},
		{`$`, "ab", []string{"ab"}},
		{`[a-z&&[^b]]`, "xbybz", []string{"", "b", "b"}},
		{`a`, "a", []string{}},
	}
	for _, tt := range tests {
		p, err := Compile(tt.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Split(tt.text); !slices.Equal(got, tt.want) || err != nil {
			t.Errorf("%s and %q: %q, %v, want %q", tt.expression, tt.text, got, err, tt.want)
		}
	}
	if p, err := Compile(`\Ga`); err != nil {
		t.Error(err)
	} else if _, err := p.Split("aab"); err == nil {
		t.Error(`\G is taken for something else`)
	}
}

func TestUnicode(t *testing.T) {
	tests := []struct {
		expression, text string
		want             bool
	}{
		{`(?i)É`, "é", false},
		{`(?iu)É`, "é", true},
		{`\w`, "é", false},
		{`(?U)\w`, "é", true},
		{`\p{Lu}`, "É", true},
		{`\p{Alpha}`, "é", false},
		{`(?U)\p{Alpha}`, "é", true},
		{`\ud83d\ude00`, "😀", true},
		{`.`, "😀", true},
		{`.`, "\n", false},
		{`(?s).`, "\n", true},
		{`(?d).`, "\r", true},
		{`a$.*`, "a\n", false},
		{`(?s)a$.*`, "a\n", true},
		{`a\Z\R`, "a\r\n", true},
		{`(?sm)a$.^b`, "a\nb", true},
		{`\h\v`, "\u00a0\u2028", true},
	}
	for _, tt := range tests {
		p, err := Compile(tt.expression)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
			continue
		}
		if got, err := p.Match(tt.text); got != tt.want || err != nil {
			t.Errorf("%s and %q: %v, %v", tt.expression, tt.text, got, err)
		}
	}
}

// FuzzCompile checks that whatever is given is read or refused, and matched or given up; what package regexp reads in the
// same way, because it has nothing but letters, dots and simple repetitions, has to match the same.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"(?!a|[)]).*|b", `^(?=\Qx`, `[a&&[^b]c]`, `(?<n>a)\k<n>{2,3}+`, `(?x)a #b`, `\p{L}(?<=a|b)`, "a.b*|c+"} {
		f.Add(seed, "abc")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		p, err := Compile(expression)
		if err != nil {
			if _, ok := errors.AsType[*SyntaxError](err); !ok {
				t.Fatalf("%q: %v", expression, err)
			}
			return
		}
		if len(text) < 10 {
			_, _ = p.Split(text)
		}
		matches, err := p.match(text, 50_000)
		if simple(expression) && !strings.ContainsFunc(text, isLineEnd) {
			if want := regexpMatch(expression, text); err == nil && matches != want {
				t.Errorf("%q matches %q: %v", expression, text, matches)
			}
		}
	})
}
