package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/broker/storage"
)

// Shutdown stops the broker in order: it hands over what it leads, resigns, accepts nothing more, answers what it has read as
// far as ctx and drainMax allow, closes its logs cleanly and ends its ZooKeeper session, which removes its registration at
// once. It may be called after a failed Start and more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() { s.stopErr = s.shutdown(ctx) })
	return s.stopErr
}

func (s *Server) shutdown(ctx context.Context) error {
	s.log.Info("shutting down")
	started := time.Now()
	s.handOver(ctx)
	var errs []error
	s.cancel()
	if s.changes != nil {
		s.changes.Close()
	}
	if s.controller != nil {
		s.controller.Close()
	}
	if s.groups != nil {
		s.groups.Close() // members look for another coordinator
	}
	if s.verifier != nil {
		s.verifier.Close() // before the drain: requests wait for it
	}
	s.stopReplicas()
	var drain sync.WaitGroup
	if s.network != nil {
		drain.Go(func() { errs = append(errs, s.drain(ctx)) })
	}
	if s.replicas != nil {
		s.replicas.Close() // ends what waits, so that the drain need not wait for it
	}
	drain.Wait()
	if s.fetch != nil {
		s.fetch.Close()
	}
	if s.ids != nil {
		s.ids.Close()
	}
	if s.storage != nil {
		errs = append(errs, s.closeLogs())
	}
	if s.features != nil {
		s.features.close()
	}
	if s.zk != nil {
		s.zk.Close()
	}
	err := errors.Join(errs...)
	s.log.WithField("took", time.Since(started).Round(time.Millisecond)).Info("shut down completed")
	return err
}

// drainMax is for how long clients may read their last answers. Kafka gives them no time at all.
const drainMax = 5 * time.Second

// drain ends the connections once what was read from them is answered. A client that does not read its answers, or takes
// them byte by byte, does not keep the broker from closing its logs.
func (s *Server) drain(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, drainMax)
	defer cancel()
	err := s.network.Shutdown(bounded)
	if err != nil && ctx.Err() == nil {
		s.log.Warnf("closed connections on which not all answers were read within %v", drainMax)
		return nil
	}
	return err
}

// closeLogs closes the logs. A directory that fails only then is told of, as one that has failed before is, and has no mark
// of a clean stop. Where another one is left the broker has stopped in order all the same, as Kafka has.
func (s *Server) closeLogs() error {
	err := s.storage.Close()
	if !errors.Is(err, storage.ErrStorage) || !slices.ContainsFunc(s.storage.Dirs(), func(d storage.DirInfo) bool { return !d.Offline }) {
		return err
	}
	s.log.WithError(err).Warn("logs in failed directories were not closed cleanly")
	return nil
}
