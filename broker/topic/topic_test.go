package topic

import (
	"strings"
	"testing"
)

func TestValidateName(t *testing.T) {
	tests := []struct {
		name, want string // want: a part of the error, "" for none
	}{
		{"orders", ""},
		{"a.b_c-D9", ""},
		{strings.Repeat("x", 249), ""},
		{strings.Repeat("x", 250), "longer than the max allowed length 249"},
		{"", "the empty string is not allowed"},
		{".", "'.' is not allowed"},
		{"..", "'..' is not allowed"},
		{"a b", "'a b' contains one or more characters other than ASCII"},
		{"a/b", "contains one or more characters"},
		{"é", "contains one or more characters"},
		{strings.Repeat("x", 32767), "xxx... (31743 more bytes)' is longer than the max allowed length 249"},
	}
	for _, tt := range tests {
		err := ValidateName(tt.name)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("ValidateName(%q) = %v, want nil", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("ValidateName(%q) = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestUnify(t *testing.T) {
	if Unify("a.b.c") != Unify("a_b.c") || Unify("a.b") == Unify("a-b") {
		t.Error("'.' and '_' are one, other characters are not")
	}
}

func TestID(t *testing.T) {
	// The vector comes from Kafka's Uuid class: msb 0x0123456789abcdef, lsb 0x8123456789abcdef.
	id, err := ParseID("ASNFZ4mrze-BI0VniavN7w")
	want := ID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	if err != nil || id != want || id.String() != "ASNFZ4mrze-BI0VniavN7w" {
		t.Errorf("ParseID = %x (%v), String %s", id, err, id)
	}
	for range 1000 {
		id := NewID()
		if back, err := ParseID(id.String()); err != nil || back != id || id.String()[0] == '-' || id.IsZero() {
			t.Fatalf("id %s does not come back: %v %v", id, back, err)
		}
	}
	for _, bad := range []string{"", "x", "ASNFZ4mrze+BI0VniavN7w", "ASNFZ4mrze-BI0VniavN7wAA"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) succeeds", bad)
		}
	}
}
