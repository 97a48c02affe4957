package controller

import "testing"

func TestScalaSet(t *testing.T) {
	for _, tt := range []struct {
		ids  []int32
		want string
	}{
		{nil, "Set()"},
		{[]int32{1, 2, 3}, "Set(1, 2, 3)"},
		{[]int32{15, 16, 1001}, "Set(16, 1001, 15)"},
		{[]int32{1, 2, 3, 4, 5}, "HashSet(5, 1, 2, 3, 4)"},
		{[]int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "HashSet(5, 10, 1, 6, 9, 2, 7, 3, 8, 4)"},
	} {
		if got := scalaSet(tt.ids); got != tt.want {
			t.Errorf("scalaSet(%v) = %s, want %s", tt.ids, got, tt.want)
		}
	}
}
