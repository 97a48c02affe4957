package server

import (
	"io"
	"reflect"
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

// TestDynamicPropertiesAreFollowed: what may change while the broker runs, and is built, changes what some component
// is told by reconfigure.
func TestDynamicPropertiesAreFollowed(t *testing.T) {
	type told struct{ logs, limits, listeners, advertised, numbers any }
	of := func(c *config.Config) (all told) {
		topic, err := c.Topic(nil)
		if err != nil {
			t.Fatal(err)
		}
		limits, err := connectionLimits(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		throttles := newThrottles(c)
		throttles.setRates(c)
		asked := &Server{} // what is looked up when it is needed
		asked.config.now.Store(c)
		return told{logConfig(topic), limits, listeners(c), c.AdvertisedListeners(), []any{
			c.Int("num.replica.fetchers"), c.Millis("producer.id.expiration.ms"), c.Int("num.recovery.threads.per.data.dir"),
			throttles.leader.Rate(), throttles.follower.Rate(), throttles.dirs.Rate(), asked.verifying(),
			cleanerConfig(c),
		}}
	}
	values := map[string]string{
		"listeners": "PLAINTEXT://:1", "advertised.listeners": "PLAINTEXT://h:1", "max.connections.per.ip.overrides": "10.0.0.1:1",
		"compression.type": "gzip", "log.message.timestamp.type": "LogAppendTime", "log.cleanup.policy": "compact", "compression.gzip.level": "5",
		"log.cleaner.dedupe.buffer.size": "2000000", "log.cleaner.min.cleanable.ratio": "1",
	}
	static := load(t, "broker.id=1")
	for p := range config.Properties() {
		if p.Scope == config.ReadOnly || p.Status != config.Built || p.Name == "listener.security.protocol.map" {
			continue // a map of protocols changes nothing by itself: only PLAINTEXT is spoken
		}
		value := values[p.Name]
		switch {
		case value != "":
		case p.Type == config.Bool:
			value = map[string]string{"true": "false", "false": "true"}[p.Default]
		default:
			value = "17"
		}
		c, err := static.WithDynamic(config.Dynamic{Broker: map[string]string{p.Name: value}})
		if err != nil {
			t.Errorf("%s=%s: %v", p.Name, value, err)
			continue
		}
		if reflect.DeepEqual(of(static), of(c)) {
			t.Errorf("%s=%s changes nothing", p.Name, value)
		}
	}
}
