package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// row is one line of testdata/errors.tsv.
type row struct {
	key     int16
	name    string // of the API, "(none)" for what is no request
	version int16
	what    string // is wrong with it
	want    outcome
}

// id names a row as the tables of this package do.
func (r row) id() string { return r.name + ": " + r.what }

// readTable returns the rows of a tab-separated file below testdata, without the header line.
func readTable(t testing.TB, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	var rows [][]string
	for _, line := range lines[1:] {
		rows = append(rows, strings.Split(line, "\t"))
	}
	return rows
}

// errorName is the name of an error behind its code.
var errorName = regexp.MustCompile(`(^|; )(-?\d+) [A-Z_]+`)

func readErrors(t testing.TB) []row { return readErrorsOf(t, "errors.tsv") }

func readErrorsOf(t testing.TB, name string) []row {
	t.Helper()
	var rows []row
	for _, f := range readTable(t, name) {
		if strings.HasPrefix(f[4], "(no answer") {
			f[4] = noAnswer
		}
		key, _ := strconv.Atoi(f[0])
		version, _ := strconv.Atoi(f[2])
		rows = append(rows, row{
			key: int16(key), name: f[1], version: int16(version), what: f[3],
			want: outcome{err: errorName.ReplaceAllString(f[4], "$1$2"), message: f[5], closed: f[6] == "yes"},
		})
	}
	return rows
}
