package zkutil

import (
	"errors"
	"strings"
	"testing"
)

// TestPathsAreCheckedAsInJava compares with what ZooKeeper's Java client says of the same paths.
func TestPathsAreCheckedAsInJava(t *testing.T) {
	tests := []struct {
		path       string
		sequential bool
		want       string // "" for a path; what begins with @ follows the path in quotation marks
	}{
		{"/", false, ""},
		{"/a/b.c", false, ""},
		{"/a/...", false, ""},
		{"/a/.b", false, ""},
		{"/a/b..", false, ""},
		{"/späť", false, ""},
		{"/a/", true, ""},
		{"", false, "Path length must be > 0"},
		{"a", false, "Path must start with / character"},
		{"/a/", false, "Path must not end with / character"},
		{"/a//b", false, "@empty node name specified @3"},
		{"//a", false, "@empty node name specified @1"},
		{"/config/topics/.", false, "@relative paths not allowed @15"},
		{"/config/topics/../../etc/passwd", false, "@relative paths not allowed @16"},
		{"/config/topics/a\x00b", false, "@null character not allowed @16"},
		{"/a\nb", false, "@invalid character @2"},
		{"/a\u007f", false, "@invalid character @2"},
		{"/\ue000", false, "@invalid character @1"},
		{"/ä\U0001d11e", false, "@invalid character @2"},
		{"/a\xff", false, "@invalid character @2"},
	}
	for _, tt := range tests {
		want := tt.want
		if fault, ok := strings.CutPrefix(want, "@"); ok {
			want = `Invalid path string "` + tt.path + `" caused by ` + fault
		}
		err := checkPath(tt.path, tt.sequential)
		if err == nil && want == "" {
			continue
		}
		if err == nil || err.Error() != want || !errors.Is(err, ErrInvalidPath) {
			t.Errorf("%q: %v, want %q", tt.path, err, want)
		}
	}
}
