package filter

import (
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func TestTopics(t *testing.T) {
	tests := []struct{ pattern, matches, misses string }{
		{"orders", "orders", "orders2 my-orders"},
		{"ord.*", "orders ord", "my-orders"},
		{"a,b", "a b", "ab c a,b"},
		{" a , b ", "a b", "c"},
		{`"orders"`, "orders", "ord"},
		{`test\.topic`, "test.topic", "test-topic"},
		{".*", "a __consumer_offsets", ""},
		{"(?!__|test).*", "orders", "__consumer_offsets test1"},
	}
	for _, tt := range tests {
		filter, err := ParseTopics(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(tt.matches) {
			if matches, err := filter.Match(name); !matches || err != nil {
				t.Errorf("%q does not match %s: %v", tt.pattern, name, err)
			}
		}
		for name := range strings.FieldsSeq(tt.misses) {
			if matches, err := filter.Match(name); matches || err != nil {
				t.Errorf("%q matches %s: %v", tt.pattern, name, err)
			}
		}
	}
	if _, err := ParseTopics("or["); throwable.String(err) != "java.lang.RuntimeException: or[ is an invalid regex." {
		t.Errorf("or[ gives %v", err)
	}
}

func TestPartitions(t *testing.T) {
	tests := []struct{ rules, topics, ids, want string }{
		{rules: "orders:0", want: "orders-0"},
		{rules: "orders:1-3", want: "orders-1 orders-2"},
		{rules: "orders:2-", want: "orders-2 orders-3"},
		{rules: "orders:-1", want: "orders-0"},
		{rules: "orders:-", want: "orders-0 orders-1 orders-2 orders-3"},
		{rules: "orders:", want: "orders-0 orders-1 orders-2 orders-3"},
		{rules: "logs", want: "logs-0 logs-1 logs-2 logs-3"},
		{rules: ":3", want: "logs-3 orders-3"},
		{topics: ".*", want: "logs-0 logs-1 logs-2 logs-3 orders-0 orders-1 orders-2 orders-3"},
		{rules: "orders:0,logs:1-2", want: "logs-1 orders-0"},
		{rules: "ord.*:3,orders:3", want: "orders-3"},
		{rules: "orders:3-1", want: ""},
		{topics: "orders", ids: "0,2", want: "orders-0 orders-2"},
		{topics: ".*", ids: "3", want: "logs-3 orders-3"},
		{topics: "orders", ids: "3,", want: "orders-3"},
		{topics: "orders", ids: ",", want: "orders-0 orders-1 orders-2 orders-3"},
		{rules: ",", want: ""},
		{rules: "orders:0,,", want: "orders-0"},
		{rules: ",orders:0", want: "logs-0 logs-1 logs-2 logs-3 orders-0 orders-1 orders-2 orders-3"},
		{topics: "logs", want: "logs-0 logs-1 logs-2 logs-3"},
		{topics: "nope", want: ""},
		{topics: "", want: ""}, // matches nothing, as any expression for a name without characters
		{rules: ":", want: "logs-0 logs-1 logs-2 logs-3 orders-0 orders-1 orders-2 orders-3"},
		{topics: "[a-o&&[^l]]+(?<!x)rders", ids: "0", want: "orders-0"},
	}
	for _, tt := range tests {
		t.Run(tt.rules+"/"+tt.topics+"/"+tt.ids, func(t *testing.T) {
			filter, err := ParseRules(tt.rules)
			if tt.rules == "" {
				filter, err = ParseIDs(tt.topics, tt.ids)
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range []string{"logs", "orders"} {
				for index := range int32(4) {
					p := topic.Partition{Topic: name, Index: index}
					selected, err := filter.Match(p)
					if err != nil {
						t.Fatal(err)
					}
					if selected {
						got = append(got, p.String())
					}
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestWrongPartitions(t *testing.T) {
	for rules, want := range map[string]string{
		"orders:x":      "java.lang.RuntimeException: org.apache.kafka.tools.TerseException: Invalid rule specification: orders:x",
		"a:1:2":         "java.lang.RuntimeException: org.apache.kafka.tools.TerseException: Invalid rule specification: a:1:2",
		"or[:1":         "java.lang.RuntimeException: or[ is an invalid regex.",
		"a:99999999999": `java.lang.NumberFormatException: For input string: "99999999999"`,
	} {
		if _, err := ParseRules(rules); err == nil || throwable.String(err) != want {
			t.Errorf("%s gives %v, want %s", rules, err, want)
		}
	}
	_, err := ParseIDs("orders", "1,a")
	want := "--partitions expects a comma separated list of numeric partition ids, but received: 1,a"
	if err == nil || err.Error() != want {
		t.Errorf("1,a gives %v, want %s", err, want)
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add("orders:0-3,logs")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseRules(text); err != nil {
			return
		}
		p := topic.Partition{Topic: "t", Index: 1}
		filter, err := ParseRules(text + ",t:1")
		if err != nil {
			t.Fatalf("%q and one more rule: %v", text, err)
		}
		if selected, err := filter.Match(p); err == nil && !selected {
			t.Errorf("%q and one more rule for %s do not select it", text, p)
		}
	})
}
