package server

import (
	"context"
	"errors"
	"slices"

	"github.com/gregor-mq/gregor/broker/config"
)

// reconfigure tells the components what a change of the configuration means for them. Each part looks for what is
// its own; a part that fails is logged, and the others follow all the same, as in DynamicBrokerConfig.
func (s *Server) reconfigure(before, now *config.Config) {
	for _, part := range []struct {
		what string
		do   func(before, now *config.Config) error
	}{
		{"replica fetchers", s.resizeFetchers},
		{"replication throttles", s.changeRates},
		{"logs", s.changeLogs},
		{"connection limits", s.changeLimits},
		{"listeners", s.changeListeners},
	} {
		if err := part.do(before, now); err != nil {
			s.config.log.WithError(err).Errorf("%s could not be reconfigured", part.what)
		}
	}
}

func (s *Server) resizeFetchers(_, now *config.Config) error {
	s.fetchers.Resize(now.Int("num.replica.fetchers"))
	return nil
}

// changeLogs gives storage what has changed: the defaults of topics' properties above all.
func (s *Server) changeLogs(before, now *config.Config) error {
	s.storage.SetProducerExpiry(now.Millis("producer.id.expiration.ms"))
	s.storage.SetRecoveryThreads(now.Int("num.recovery.threads.per.data.dir"))
	s.storage.SetCleaner(cleanerConfig(now))
	old, err := before.Topic(nil)
	if err != nil {
		return err
	}
	defaults, err := now.Topic(nil)
	if err != nil {
		return err
	}
	if logConfig(old) == logConfig(defaults) {
		return nil
	}
	if err := s.reconfigureLogs(s.ctx); err != nil {
		return err
	}
	if defaults.UncleanElection && !old.UncleanElection {
		s.controller.UncleanElectionAllowedByDefault()
	}
	return nil
}

// reconfigureLogs brings the configurations of all topics into force.
func (s *Server) reconfigureLogs(ctx context.Context) error {
	configs, err := s.allTopicConfigs(ctx)
	if err != nil {
		return err
	}
	s.replicas.Reconfigure(configs)
	return nil
}

// changeLimits looks host names up again, and sets the limits on connections.
func (s *Server) changeLimits(_, now *config.Config) error {
	limits, err := connectionLimits(s.ctx, now)
	if err != nil {
		return err
	}
	s.network.SetLimits(limits)
	return nil
}

// changeListeners listens on what is to be listened on now, and registers what is advertised of it. A listener that
// cannot be opened keeps none of the others from clients.
func (s *Server) changeListeners(before, now *config.Config) error {
	others := !slices.Equal(before.Listeners(), now.Listeners())
	if !others && slices.Equal(before.AdvertisedListeners(), now.AdvertisedListeners()) {
		return nil
	}
	var opening error
	if others {
		opening = s.network.SetListeners(s.ctx, listeners(now))
	}
	return errors.Join(opening, s.registration.advertise(s.ctx, now, s.network.Endpoints()))
}
