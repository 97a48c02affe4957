package load

import (
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	r := &Result{Requests: 10, Bytes: 1000}
	tests := []struct {
		name  string
		limit Limit
		after time.Duration
		want  bool
	}{
		{"time is left", Limit{Time: 2 * time.Second}, time.Second, false},
		{"time is over", Limit{Time: time.Second}, time.Second, true},
		{"few bytes", Limit{Time: time.Minute, Bytes: 1001}, time.Second, false},
		{"enough bytes", Limit{Time: time.Minute, Bytes: 1000}, time.Second, true},
		{"few requests", Limit{Time: time.Minute, Bytes: 1001, Requests: 11}, time.Second, false},
		{"enough requests", Limit{Time: time.Minute, Requests: 10}, time.Second, true},
	}
	for _, tt := range tests {
		if got := tt.limit.reached(r, tt.after); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
