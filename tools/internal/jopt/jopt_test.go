package jopt

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func testParser() *Parser {
	return New(
		Option{Name: "list", Doc: "List."},
		Option{Name: "topic", Arity: Required, Value: "topic", Doc: "The topic."},
		Option{Name: "partitions", Arity: Required, Kind: Integer, Value: "# of partitions", Default: "1"},
		Option{Name: "timeout", Arity: Required, Kind: Long},
		Option{Name: "kind", Arity: Required, Names: []string{"ONE", "TWO"}},
		Option{Name: "codec", Arity: Optional, Value: "codec"},
		Option{Name: "server", Arity: Required, RequiredUnless: "broker-list", Doc: "Where to connect."},
		Option{Name: "broker-list", Arity: Required},
		Option{Name: "a"}, Option{Name: "b"}, Option{Name: "c", Arity: Required},
	)
}

func TestParse(t *testing.T) {
	tests := []struct {
		args string
		want string // name=value,value in order of names; or the error
	}{
		{"--server s", "server=s"},
		{"--server=s", "server=s"},
		{"-server s", "server=s"},
		{"-server=s", "server=s"},
		{"--broker-list b", "broker-list=b"},
		{"--server= s", "server=s"},
		{"--server --list", "server=--list"},
		{"--server s --list=5 ignored --topic t", "list= server=s topic=t"},
		{"--server s -- --list", "server=s"},
		{"--server s - --list", "list= server=s"},
		{"--server s --topic a --topic b", "server=s topic=a,b"},
		{"--server s --codec", "codec= server=s"},
		{"--server s --codec --list", "codec= list= server=s"},
		{"--server s --codec gzip", "codec=gzip server=s"},
		{"--server s --codec=zstd", "codec=zstd server=s"},
		{"--server s -ab", "a= b= server=s"},
		{"--server s -acvalue", "a= c=value server=s"},
		{"--server s -c value", "c=value server=s"},
		{"--server s --timeout -5", "server=s timeout=-5"},
		{"--help", "help="},
		{"--list", "Missing required option(s) [server]"},
		{"--server", "Option server requires an argument"},
		{"--server s --lis", "lis is not a recognized option"},
		{"--server s -lis", "l is not a recognized option"},
		{"--server s --", "server=s"},
		{"--server s --=x", " is not a recognized option"},
		{"--server s -é", "é is not a recognized option"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			set, err := testParser().Parse(strings.Fields(tt.args))
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				var parts []string
				for _, name := range slices.Sorted(maps.Keys(set.given)) {
					parts = append(parts, name+"="+strings.Join(set.Values(name), ","))
				}
				got = strings.Join(parts, " ")
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	set, err := testParser().Parse(strings.Fields("--server s --topic a --topic b --timeout 99999999999 --c 3"))
	if err != nil {
		t.Fatal(err)
	}
	if n, given, err := set.Int64("timeout"); n != 99999999999 || !given || err != nil {
		t.Errorf("timeout is %d, %v, %v", n, given, err)
	}
	if n, given, err := set.Int32("partitions"); n != 1 || !given || err != nil {
		t.Errorf("the default of partitions is %d, %v, %v", n, given, err)
	}
	if set.Has("partitions") {
		t.Error("a default counts as given")
	}
	if _, given, err := set.Int32("a"); given || err != nil {
		t.Errorf("an option without value is %v, %v", given, err)
	}
	tests := []struct{ name, class, message, cause string }{
		{"topic", "joptsimple.MultipleArgumentsForOptionException", "Found multiple arguments for option topic, but you asked for only one", ""},
		{"server", "joptsimple.OptionArgumentConversionException", "Cannot parse argument 's' of option server",
			`java.lang.NumberFormatException: For input string: "s"`},
		{"timeout", "joptsimple.OptionArgumentConversionException", "Cannot parse argument '99999999999' of option timeout",
			`java.lang.NumberFormatException: For input string: "99999999999"`},
	}
	for _, tt := range tests {
		_, _, err := set.Int32(tt.name)
		failure, ok := errors.AsType[*Error](err)
		if !ok || failure.Class() != tt.class || failure.Message != tt.message || lastOf(failure.Causes) != tt.cause {
			t.Errorf("%s: got %+v, want %s: %s", tt.name, failure, tt.class, tt.message)
		}
	}
}

func lastOf(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[len(texts)-1]
}

func TestEnum(t *testing.T) {
	for _, tt := range []struct{ args, want, cause string }{
		{"--server s", "", ""},
		{"--server s --kind One", "ONE", ""},
		{"--server s --kind three", "", "joptsimple.ValueConversionException: Value [three] is not one of [[ONE,TWO]]"},
	} {
		set, err := testParser().Parse(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		got, err := set.Enum("kind")
		failure, _ := errors.AsType[*Error](err)
		if got != tt.want || (failure != nil) != (tt.cause != "") || failure != nil && lastOf(failure.Causes) != tt.cause {
			t.Errorf("%s gives %q, %+v", tt.args, got, failure)
		}
	}
}

// TestAvailable checks that options which belong to others are refused without them, unless help is asked for.
func TestAvailable(t *testing.T) {
	of := func(name string, with ...string) Option { return Option{Name: name, AvailableWith: with} }
	p := New(Option{Name: "list"}, Option{Name: "describe"}, of("members", "describe"), of("verbose", "describe"),
		of("offsets", "describe"), of("state", "describe", "list"), of("type", "list"))
	for args, want := range map[string]string{
		"--describe --members --state":           "",
		"--list --state --type":                  "",
		"--list --members":                       "[members]",
		"--state":                                "[state]",
		"--list --offsets --verbose --members":   "[members, offsets, verbose]",
		"--describe --type":                      "[type]",
		"--list --offsets --verbose --help":      "",
		"--list --describe --type --verbose":     "",
		"--version --offsets --verbose --unused": "unused is not a recognized option",
	} {
		_, err := p.Parse(strings.Fields(args))
		got := ""
		if err != nil {
			got = strings.TrimSuffix(strings.TrimPrefix(err.Error(), "Option(s) "), " are unavailable given other options on the command line")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}

// TestOrder checks that options are known in the order and as often as they were given.
func TestOrder(t *testing.T) {
	set, err := testParser().Parse(strings.Fields("--topic x --server s -ab --topic=y --codec"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Order(), " "); got != "topic server a b topic codec" {
		t.Errorf("got %s", got)
	}
}

func TestHelp(t *testing.T) {
	var b strings.Builder
	p := New(
		Option{Name: "topic", Arity: Required, Value: "topic", Doc: "The topic to create, change, describe or delete, or a pattern."},
		Option{Name: "partitions", Arity: Required, Kind: Integer, Value: "how many partitions the topic has", Default: "1", Doc: "How many."},
		Option{Name: "codec", Arity: Optional, Doc: "Lines:\n one\n two"},
		Option{Name: "kind", Arity: Required, Names: []string{"ONE", "TWO"}, Value: "which"},
	)
	if err := p.PrintHelp(&b); err != nil {
		t.Fatal(err)
	}
	const want = `
Option                                   Description
------                                   -----------
--codec [String]                         Lines:
                                          one
                                          two
--help                                   Print what the command does and its
                                           options.
--kind <[ONE,TWO]: which>
--partitions <Integer: how many          How many. (default: 1)
  partitions the topic has>
--topic <String: topic>                  The topic to create, change, describe
                                           or delete, or a pattern.
--version                                Print the version of Kafka whose tools
                                           these are.
`
	var got strings.Builder
	got.WriteString("\n")
	for line := range strings.Lines(b.String()) {
		if len(line)-1 > helpWidth {
			t.Errorf("a line has %d characters: %q", len(line)-1, line)
		}
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// FuzzParse checks that no command line makes the parser panic or lose a word that it took as a value.
func FuzzParse(f *testing.F) {
	f.Add("--server s --topic=t -ab -cx -- rest")
	f.Add("-")
	f.Add("--=")
	f.Fuzz(func(t *testing.T, line string) {
		set, err := testParser().Parse(strings.Split(line, " "))
		if err != nil {
			return
		}
		for name, values := range set.given {
			for _, value := range values {
				if !strings.Contains(line, value) {
					t.Errorf("%q gave %s the value %q", line, name, value)
				}
			}
			_, _, _ = set.Int64(name)
		}
	})
}
