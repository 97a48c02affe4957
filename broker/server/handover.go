package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller"
)

// controlledShutdownVersion is that of inter.broker.protocol.version 3.9.
const controlledShutdownVersion = 3

// handOver asks the controller to give what this broker leads to others, before it stops
// (KafkaServer.controlledShutdown). Clients then meet no leader that is gone. After a failure, the broker
// stops all the same.
//
// From here on it takes no more partitions to follow: as the follower of its successors it would join their
// ISRs again, and hold up their producers when it is gone.
func (s *Server) handOver(ctx context.Context) {
	if !s.started || !s.cfg.Bool("controlled.shutdown.enable") || len(s.metadata.Load().Brokers) < 2 {
		return
	}
	s.fetchers.Seal()
	started := time.Now()
	pause := s.cfg.Millis("controlled.shutdown.retry.backoff.ms")
	for attempt := range s.cfg.Int("controlled.shutdown.max.retries") {
		if attempt > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		remaining, err := s.askForShutdown(ctx)
		switch {
		case err != nil:
			s.log.WithError(err).Warn("controlled shutdown failed")
		case remaining > 0:
			s.log.WithField("partitions", remaining).Warn("controlled shutdown: nobody else can lead some partitions")
		default:
			s.log.WithField("took", time.Since(started).Round(time.Millisecond)).Info("controlled shutdown succeeded")
			return
		}
	}
	s.log.Warn("proceeding to do an unclean shutdown as all the controlled shutdown attempts failed")
}

// askForShutdown sends one request to the controller and returns how many partitions this broker still leads.
func (s *Server) askForShutdown(ctx context.Context) (remaining int, err error) {
	id := s.metadata.Load().ControllerID
	addr, ok := s.address(id)
	if !ok {
		return 0, fmt.Errorf("controller %d is not alive", id)
	}
	dialer := interbroker.Dialer{ClientID: strconv.Itoa(int(s.me.brokerID)), Timeout: s.cfg.Millis("controller.socket.timeout.ms")}
	conn, err := dialer.Dial(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	req := kmsg.NewPtrControlledShutdownRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = controlledShutdownVersion, s.me.brokerID, s.brokerEpoch()
	answer, err := conn.RoundTrip(ctx, req)
	if err != nil {
		return 0, err
	}
	resp := answer.(*kmsg.ControlledShutdownResponse)
	return len(resp.PartitionsRemaining), kerr.ErrorForCode(resp.ErrorCode)
}

// shutdownOf is control.Shutdown with Kafka's errors.
func (s *Server) shutdownOf(ctx context.Context, broker int32, epoch int64) ([]topic.Partition, error) {
	remaining, err := s.controller.ControlledShutdown(ctx, broker, epoch)
	switch {
	case errors.Is(err, controller.ErrNotActive):
		return nil, kerr.StaleControllerEpoch
	case errors.Is(err, controller.ErrStaleBrokerEpoch):
		return nil, kerr.StaleBrokerEpoch
	case errors.Is(err, controller.ErrUnknownBroker) && epoch != -1: // to compare it with that of no broker fails in Kafka
		return nil, kerr.UnknownServerError
	case errors.Is(err, controller.ErrUnknownBroker):
		return nil, kerr.BrokerNotAvailable
	}
	return remaining, err
}
