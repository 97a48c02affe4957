package server

import (
	"time"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/quota"
)

// throttles limit how fast replicas are copied (KIP-73, KIP-113, QuotaFactory.scala): leader what this broker
// serves, follower what it fetches, dirs what it copies to another log directory.
type throttles struct {
	leader, follower, dirs *quota.Replication
}

// newThrottles returns throttles that hold nothing back.
func newThrottles(cfg *config.Config) *throttles {
	samples := cfg.Int("replication.quota.window.num")
	window := time.Duration(cfg.Int("replication.quota.window.size.seconds")) * time.Second
	dirSamples := cfg.Int("alter.log.dirs.replication.quota.window.num")
	dirWindow := time.Duration(cfg.Int("alter.log.dirs.replication.quota.window.size.seconds")) * time.Second
	return &throttles{
		leader: quota.NewReplication(samples, window), follower: quota.NewReplication(samples, window),
		dirs: quota.NewReplication(dirSamples, dirWindow),
	}
}

// setRates takes over the rates of cfg.
func (t *throttles) setRates(cfg *config.Config) {
	t.leader.SetRate(cfg.DynamicInt64("leader.replication.throttled.rate"))
	t.follower.SetRate(cfg.DynamicInt64("follower.replication.throttled.rate"))
	t.dirs.SetRate(cfg.DynamicInt64("replica.alter.log.dirs.io.max.bytes.per.second"))
}

// setReplicas takes over which replicas of a topic are throttled on broker.
func (t *throttles) setReplicas(name string, broker int32, c *config.Topic) error {
	for _, role := range []struct {
		throttle *quota.Replication
		list     []string
	}{{t.leader, c.LeaderThrottled}, {t.follower, c.FollowerThrottled}} {
		ps, err := quota.ParsePartitions(role.list, broker)
		if err != nil {
			return err
		}
		role.throttle.Throttle(name, ps)
	}
	return nil
}

// throttle is setReplicas on this broker. What cannot be read, which no Kafka and no Gregor would have stored, is
// logged, and leaves the topic as it was.
func (s *Server) throttle(name string, c *config.Topic) {
	if err := s.throttles.setReplicas(name, s.me.brokerID, c); err != nil {
		s.log.WithField("topic", name).WithError(err).Error("topic has an invalid list of throttled replicas")
	}
}

func (s *Server) changeRates(_, now *config.Config) error {
	s.throttles.setRates(now)
	return nil
}
