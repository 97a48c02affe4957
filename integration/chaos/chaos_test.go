package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// TestShortRun is chaos of half a minute; a longer one is make chaos. Its directory is left behind if it fails, as that of
// make chaos is.
func TestShortRun(t *testing.T) {
	if err := netns.Possible(); err != nil {
		t.Skipf("no chaos here: %v", err)
	}
	o := options{time: 25 * time.Second, seed: 1, brokers: 3, dir: os.TempDir(), say: func(format string, args ...any) { t.Logf(format, args...) }}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-minutes", "0.5", "-seed", "7"})
	if err != nil || o.time != 30*time.Second || o.seed != 7 || o.brokers != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse([]string{"-only", "cut,kill-all"}); err != nil || !slices.Equal(o.only, []kind{cut, killAll}) {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse(nil); err != nil || o.seed == 0 {
		t.Errorf("%+v, %v: no seed of its own", o, err)
	}
	if o, err := parse([]string{"-kafka", "2"}); err != nil || o.kafka != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-kafka", "4"}, {"-only", "swap"}, {"-kafka", "-1"}, {"-minutes", "0"}, {"-brokers", "2"}, {"-seed", "x"}, {"-only", "cut,flood"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
