package wire

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// golden returns the rows of a recorded table, without its header line.
func golden(t *testing.T, path string) [][]string {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(data)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows[1:]
}

func number(t *testing.T, s string) int16 {
	n, err := strconv.ParseInt(s, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return int16(n)
}

func TestAPIsAreThoseThatKafkaAnswers(t *testing.T) {
	rows, table := golden(t, "testdata/api-versions.tsv"), APIs()
	if len(rows) != len(table) {
		t.Fatalf("%d APIs, want %d", len(table), len(rows))
	}
	for i, row := range rows {
		api := table[i]
		if key := number(t, row[3]); api.Key != key || api.Name != row[4] ||
			api.Min != number(t, row[5]) || api.Max != number(t, row[6]) {
			t.Errorf("row %d is %+v, want %v", i, api, row)
		}
	}
}

func TestAPIsAgreeWithKafkasKeys(t *testing.T) {
	for _, row := range golden(t, "testdata/api-keys.tsv") {
		api := Lookup(number(t, row[0]))
		if (api != nil) != (row[7] == "true") {
			t.Errorf("Lookup(%s) = %v, served by Kafka: %s", row[0], api, row[7])
		}
		if api == nil {
			continue
		}
		flexible := int16(-1)
		if row[10] != "none" {
			flexible = number(t, row[10])
		}
		if api.FlexibleFrom != flexible || api.ClusterAction != (row[5] == "true") {
			t.Errorf("%+v, want flexible from %d, cluster action %s", api, flexible, row[5])
		}
		for v := api.Min; v <= api.Max; v++ {
			req := kmsg.RequestForKey(api.Key)
			req.SetVersion(v)
			if req.IsFlexible() != api.Flexible(v) {
				t.Errorf("%s v%d flexible: %v, kmsg: %v", api.Name, v, api.Flexible(v), req.IsFlexible())
			}
		}
	}
	for _, key := range []int16{-1, 52, 59, 64, 70, 88, 999, 32767, -32768} {
		if api := Lookup(key); api != nil {
			t.Errorf("Lookup(%d) = %v, want nil", key, api)
		}
	}
}
