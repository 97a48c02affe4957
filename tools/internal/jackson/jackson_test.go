package jackson

import (
	"os"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// TestAsJackson compares with what Jackson was seen to make of texts, right and wrong ones.
func TestAsJackson(t *testing.T) {
	table, err := os.ReadFile("testdata/jackson.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for _, line := range lines[1:] {
		input, want, _ := strings.Cut(line, "\t")
		v, err := Parse([]byte(strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(input)))
		got := v.String()
		if err != nil {
			got = strings.NewReplacer("\n", `\n`, strings.TrimSpace(source), "[S;").Replace(throwable.String(err))
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", input, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	v, err := Parse([]byte(`{"text":"t","int":5,"long":5000000000,"double":1.5,"list":[1],"null":null}`))
	if err != nil {
		t.Fatal(err)
	}
	o, err := v.Object()
	if err != nil {
		t.Fatal(err)
	}
	take := func(name string) Value {
		v, err := o.Need(name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if s, err := take("text").Text(); s != "t" || err != nil {
		t.Error(s, err)
	}
	if n, err := take("int").Int32(); n != 5 || err != nil {
		t.Error(n, err)
	}
	if n, err := take("long").Int64(); n != 5000000000 || err != nil {
		t.Error(n, err)
	}
	if list, err := take("list").List(); len(list) != 1 || err != nil {
		t.Error(list, err)
	}
	fails := func(err error, want string) {
		t.Helper()
		if err == nil || throwable.String(err) != "com.fasterxml.jackson.databind.JsonMappingException: "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err = take("long").Int32()
	fails(err, "Expected `Integer` value, received 5000000000")
	_, err = take("double").Int64()
	fails(err, "Expected `Long` value, received 1.5")
	_, err = take("null").Text()
	fails(err, "Expected `String` value, received null")
	_, err = take("int").List()
	fails(err, "Expected `JSON array` value, received 5")
	_, err = take("text").Array()
	fails(err, `Expected JSON array, received "t"`)
	_, err = take("list").Object()
	fails(err, "Expected JSON object, received [1]")
	_, err = o.Need("none")
	fails(err, "No such field exists: `none`")
}

func TestDepth(t *testing.T) {
	if _, err := Parse([]byte(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))); err != nil {
		t.Error(err)
	}
	if _, err := Parse([]byte(strings.Repeat("[", 100_000))); err == nil || throwable.From(err).Class != depthException {
		t.Errorf("got %v", err)
	}
}

// TestLargeText checks that a plan for very many partitions is read in one go: the time grows with its size only.
func TestLargeText(t *testing.T) {
	const n = 200_000
	v, err := Parse([]byte("[" + strings.Repeat(`{"topic":"a","partition":0,"replicas":[1,2,3]},`, n-1) + "{}]"))
	if err != nil {
		t.Fatal(err)
	}
	if elements, err := v.Array(); len(elements) != n || err != nil {
		t.Errorf("%d elements, %v", len(elements), err)
	}
}

// FuzzParse checks that every text is read or refused, and that what was read is read again as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"x\u00e9\n",true,null,{}]}`))
	f.Add([]byte(`[01`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil || v.kind == missing {
			return
		}
		again, err := Parse([]byte(v.String()))
		if err != nil || again.String() != v.String() {
			t.Errorf("%q was read as %s, which was read as %s, %v", data, v, again, err)
		}
	})
}
