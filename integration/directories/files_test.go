package directories

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// checkFiles has Kafka's kafka-dump-log and ours read all files of a data directory, and requires that both say the same and
// find nothing wrong.
func checkFiles(t *testing.T, dir string) {
	t.Helper()
	var files, indexes []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		switch _, ext, suffix, ok := segment.ParseFileName(filepath.Base(path)); {
		case !ok || suffix != "":
		case ext == segment.IndexExt || ext == segment.TimeExt:
			indexes = append(indexes, path)
			files = append(files, path)
		default:
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(indexes) < 2*len(topics) {
		t.Fatalf("%d files, %d indexes, %v", len(files), len(indexes), err)
	}
	out, errs := dump(t, "--print-data-log", "--files", strings.Join(files, ","))
	if wrong := regexp.MustCompile(`(?m)^(.*isvalid: false|Found \d+ invalid).*$`).FindString(out); wrong != "" {
		t.Errorf("%s", wrong)
	}
	for line := range strings.Lines(errs) {
		gap := strings.Contains(line, "is followed by") || strings.HasPrefix(line, "Non-consecutive offsets in") && strings.Contains(line, "/compacted-0/")
		if !gap {
			t.Errorf("%s", line)
		}
	}
	if out, errs = dump(t, "--index-sanity-check", "--files", strings.Join(indexes, ",")); errs != "" {
		t.Errorf("%s", errs)
	}
	if n := strings.Count(out, "passed sanity check") + strings.Count(out, "is empty"); n != len(indexes) {
		t.Errorf("%d of %d indexes are fine", n, len(indexes))
	}
}

// dump runs both tools, which must print the same.
func dump(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	theirs := cluster.Tool(t, nil, "kafka-dump-log", args...)
	ours := cluster.Gregorctl(t, nil, append([]string{"kafka-dump-log"}, args...)...)
	for name, pair := range map[string][2]string{
		"standard output": {string(theirs.Stdout), string(ours.Stdout)},
		"standard error":  {string(theirs.Stderr), string(ours.Stderr)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s (-Kafka's +ours)\n%.4000s", name, cmp.Diff(strings.Split(pair[0], "\n"), strings.Split(pair[1], "\n")))
		}
	}
	if theirs.Exit != 0 || ours.Exit != 0 {
		t.Errorf("Kafka's tool ended with %d, ours with %d", theirs.Exit, ours.Exit)
	}
	return string(theirs.Stdout), string(theirs.Stderr)
}
