package server

import (
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/quota"
	"github.com/gregor-mq/gregor/broker/topic"
)

// TestThrottles takes rates and throttled replicas from where the configuration has them: the rates from ZooKeeper
// alone, this broker's over those of all.
func TestThrottles(t *testing.T) {
	cfg := load(t)
	throttles := newThrottles(cfg)
	rates := func(d config.Dynamic) [3]int64 {
		t.Helper()
		now, err := cfg.WithDynamic(d)
		if err != nil {
			t.Fatal(err)
		}
		throttles.setRates(now)
		return [3]int64{throttles.leader.Rate(), throttles.follower.Rate(), throttles.dirs.Rate()}
	}
	const leader, follower = "leader.replication.throttled.rate", "follower.replication.throttled.rate"
	const dirs = "replica.alter.log.dirs.io.max.bytes.per.second"
	if got, want := rates(config.Dynamic{
		Default: map[string]string{leader: "7", follower: "8"}, Broker: map[string]string{follower: "9", dirs: "10"},
	}), [3]int64{7, 9, 10}; got != want {
		t.Errorf("rates %v, want %v", got, want)
	}
	if got, want := rates(config.Dynamic{}), [3]int64{quota.Unlimited, quota.Unlimited, quota.Unlimited}; got != want {
		t.Errorf("rates %v when they are removed, want %v", got, want)
	}

	throttled := func(list map[string]string) (of [2][]int32) {
		t.Helper()
		c, err := cfg.Topic(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := throttles.setReplicas("orders", 1, c); err != nil {
			t.Fatal(err)
		}
		for i, q := range []*quota.Replication{throttles.leader, throttles.follower} {
			for index := range int32(3) {
				if q.Throttled(topic.Partition{Topic: "orders", Index: index}) {
					of[i] = append(of[i], index)
				}
			}
		}
		return of
	}
	for _, tt := range []struct {
		list map[string]string
		want [2][]int32
	}{
		{map[string]string{"leader.replication.throttled.replicas": "0:1,1:2,2:1", "follower.replication.throttled.replicas": "*"}, [2][]int32{{0, 2}, {0, 1, 2}}},
		{map[string]string{"leader.replication.throttled.replicas": ""}, [2][]int32{}},
	} {
		if got := throttled(tt.list); !slices.EqualFunc(got[:], tt.want[:], slices.Equal[[]int32]) {
			t.Errorf("%v throttles %v, want %v", tt.list, got, tt.want)
		}
	}
}
