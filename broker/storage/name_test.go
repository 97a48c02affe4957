package storage

import (
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
)

func TestParseDirName(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 2)
	tests := []struct {
		name string
		want topic.Partition
		kind dirKind
		bad  bool
	}{
		{name: "orders-0", want: topic.Partition{Topic: "orders", Index: 0}},
		{name: "a-b-12", want: topic.Partition{Topic: "a-b", Index: 12}},
		{name: "x-delete-3", want: topic.Partition{Topic: "x-delete", Index: 3}},
		{name: "orders-1." + hex + "-delete", want: topic.Partition{Topic: "orders", Index: 1}, kind: dirDelete},
		{name: "o.r-1." + hex + "-delete", want: topic.Partition{Topic: "o.r", Index: 1}, kind: dirDelete},
		{name: "orders-1." + hex + "-future", want: topic.Partition{Topic: "orders", Index: 1}, kind: dirFuture},
		{name: "orders-1." + hex + "-stray", want: topic.Partition{Topic: "orders", Index: 1}, kind: dirStray},
		{name: "orders", bad: true},
		{name: "-1", bad: true},
		{name: "orders-", bad: true},
		{name: "orders-x", bad: true},
		{name: "orders-+1", bad: true},
		{name: "orders-2147483648", bad: true},
		{name: "orders-delete", bad: true},
		{name: "lost+found", bad: true},
		{name: "orders-x." + hex + "-delete", bad: true},
	}
	for _, tt := range tests {
		p, kind, err := parseDirName(tt.name)
		if tt.bad != (err != nil) || err == nil && (p != tt.want || kind != tt.kind) {
			t.Errorf("parseDirName(%q) = %v %d %v", tt.name, p, kind, err)
		}
	}
}

func TestDeleteDirName(t *testing.T) {
	for _, p := range []topic.Partition{{Topic: "orders", Index: 3}, {Topic: strings.Repeat("x", 249), Index: 2147483647}} {
		name := deleteDirName(p)
		back, kind, err := parseDirName(name)
		if err != nil || kind != dirDelete || back.Index != p.Index || !strings.HasPrefix(p.Topic, back.Topic) || len(name) > maxNameLength {
			t.Errorf("deleteDirName(%v) = %q: %v %d %v", p, name, back, kind, err)
		}
		if name == deleteDirName(p) {
			t.Errorf("two names of a deleted directory are equal: %s", name)
		}
	}
}

func FuzzParseDirName(f *testing.F) {
	f.Add("orders-0")
	f.Add("orders-1.0123456789abcdef0123456789abcdef-delete")
	f.Fuzz(func(t *testing.T, name string) {
		p, kind, err := parseDirName(name)
		if err != nil {
			return
		}
		if p.Topic == "" || p.Index < 0 || kind == dirLive && len(name) < len(p.String()) {
			t.Errorf("parseDirName(%q) = %v", name, p)
		}
	})
}
