package server

import (
	"context"
	"strings"

	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// allTopicConfigs reads the properties of all topics at once and returns a lookup for storage, which
// needs them while it loads the logs. Topics that ZooKeeper does not know get the defaults.
func (s *Server) allTopicConfigs(ctx context.Context) (func(topic string) (c storage.LogConfig, ok bool), error) {
	cfg := s.config.Load()
	defaults, err := cfg.Topic(nil)
	if err != nil {
		return nil, err
	}
	names, err := store{s.zk}.TopicNames(ctx)
	if err != nil {
		return nil, err
	}
	own, err := store{s.zk}.TopicConfigs(ctx, names)
	if err != nil {
		return nil, err
	}
	configs := make(map[string]storage.LogConfig, len(names))
	for i, name := range names {
		if len(own[i]) == 0 {
			s.throttle(name, defaults)
			continue
		}
		effective, err := cfg.Topic(own[i])
		if err != nil {
			s.log.WithField("topic", name).WithError(err).Error("topic has an invalid configuration, using the defaults")
			continue
		}
		configs[name] = logConfig(effective)
		s.throttle(name, effective)
	}
	byDefault := logConfig(defaults)
	return func(name string) (storage.LogConfig, bool) {
		if c, ok := configs[name]; ok {
			return c, true
		}
		return byDefault, true
	}, nil
}

// topicChanged brings the properties of one topic into force (TopicConfigHandler).
func (s *Server) topicChanged(name string, own map[string]string) error {
	effective, err := s.config.Load().Topic(own)
	if err != nil {
		return err
	}
	s.throttle(name, effective)
	c := logConfig(effective)
	s.replicas.Reconfigure(func(topic string) (storage.LogConfig, bool) { return c, topic == name })
	if strings.EqualFold(own["unclean.leader.election.enable"], "true") {
		s.controller.UncleanElectionAllowed(name)
	}
	return nil
}

// topicConfig reads the properties of one topic, whose first log is about to be created.
func (s *Server) topicConfig(name string) (storage.LogConfig, error) {
	own, err := store{s.zk}.TopicConfigs(s.ctx, []string{name})
	if err != nil {
		return storage.LogConfig{}, err
	}
	effective, err := s.config.Load().Topic(own[0])
	if err != nil {
		return storage.LogConfig{}, err
	}
	s.throttle(name, effective)
	return logConfig(effective), nil
}

// known reports whether the cluster's metadata has the partition.
func (s *Server) known(p topic.Partition) bool { return s.metadata.Load().Partition(p) != nil }
