package server

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/logger"
)

// TestDynamicConfig: what comes from ZooKeeper is in force if it may be, and components hear of what has changed.
func TestDynamicConfig(t *testing.T) {
	var told []string
	d := &dynamicConfig{id: 1, log: logger.New(io.Discard, "info").Named("test")}
	d.now.Store(load(t, "broker.id=1"))
	threads := func(want int) {
		t.Helper()
		if got := d.Load().Int("num.io.threads"); got != want {
			t.Errorf("%d threads, want %d", got, want)
		}
	}
	// Before there are components, only the values themselves count.
	d.set(map[string]string{"num.io.threads": "100", "message.max.bytes": "many", "broker.rack": "r"}, false)
	threads(100)
	d.tell(func(before, now *config.Config) {
		if now != d.Load() {
			t.Error("components are told before the configuration is in force")
		}
		told = append(told, strings.Join(before.Changed(now), ","))
	})
	d.set(map[string]string{"num.io.threads": "90"}, true)
	threads(90)
	d.set(map[string]string{"num.io.threads": "90"}, true) // again
	d.set(map[string]string{"num.io.threads": "10", "log.retention.ms": "7"}, true)
	threads(90) // less than half: all of it stays as it was
	if d.Load().Has("log.retention.ms") {
		t.Error("half of a change is in force")
	}
	d.set(map[string]string{}, false) // what was refused for this broker is so still
	threads(90)
	d.set(map[string]string{"num.io.threads": "50"}, true)
	threads(50)
	if want := []string{"num.io.threads", "num.io.threads"}; !slices.Equal(told, want) {
		t.Errorf("components were told of %q, want %q", told, want)
	}
}
