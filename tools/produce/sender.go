package produce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

const (
	senderClass = "org.apache.kafka.clients.producer.internals.Sender"

	// partOfInvalid is what Kafka's producer says of good records in a batch with bad ones (KIP-467).
	partOfInvalid = "Failed to append record because it was part of a batch which had one more more invalid records"
)

// sender delivers the batches of one partition, one after the other.
type sender struct {
	producer *producer
	index    int32
	identity identity // of the next batch

	asked   int32  // number of the last request
	encoded []byte // reused
	scratch bytes.Buffer
}

// deliver sends b until the broker has it, refuses it for good, or delivery.timeout.ms is over, which begins when the batch
// is made: those that have waited for others as long are not sent any more. It reports the records unless it succeeded.
func (s *sender) deliver(ctx context.Context, b *batch) error {
	deadline := b.created.Add(s.producer.settings.delivery)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	doubtful := false
	for retries := s.producer.settings.retries; ; {
		answer := s.attempt(ctx, b)
		verdict := s.judge(b, answer, retries, deadline)
		switch verdict {
		case delivered:
			s.advance(b)
			return nil
		case failed:
			return s.fail(b, answer, doubtful)
		case splitUp:
			s.log("in", fmt.Sprintf("splitting and retrying (%d attempts left)", retries), answer)
			first, second := b.split()
			return errors.Join(s.deliver(ctx, first), s.deliver(ctx, second))
		case again:
			retries--
			doubtful = true
			s.log("with", fmt.Sprintf("retrying (%d attempts left)", retries), answer)
		case unreached:
		}
		if throwable.Code(answer.err) == 0 || isIdentityLost(answer.err) {
			s.encoded = nil // the connection may hold it still
		}
		if isIdentityLost(answer.err) {
			s.identity = nobody
		}
		if !pause(ctx, s.producer.settings.backoff) {
			return s.fail(b, answer, doubtful)
		}
		s.producer.refresh(ctx)
	}
}

// answer is what came of one request.
type answer struct {
	err     error            // nil: the broker has the batch
	records map[int32]string // messages about single records, by index (KIP-467)
}

// attempt sends b once to the leader. A producer with a transactional id that has begun no transaction may not send.
func (s *sender) attempt(ctx context.Context, b *batch) answer {
	if s.producer.settings.transactional {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	leader, id, ok := s.producer.leader(s.index)
	if !ok {
		return answer{err: throwable.FromCode(kerr.LeaderNotAvailable.Code, nil)}
	}
	if err := s.producer.inFlight.Acquire(ctx, 1); err != nil {
		return answer{err: err}
	}
	defer s.producer.inFlight.Release(1)
	if !s.producer.nodes.mayTry(leader) {
		return answer{err: errAway}
	}
	a := s.request(ctx, b, leader, id)
	s.producer.nodes.tried(leader, a.err == nil || throwable.Code(a.err) != 0)
	return a
}

// errAway says that there is no connection to the leader, and another sender is to try.
var errAway = errors.New("the leader is not reached")

// request sends b to leader.
func (s *sender) request(ctx context.Context, b *batch, leader int32, id topic.ID) answer {
	if s.producer.settings.idempotent && s.identity == nobody {
		if err := s.identify(ctx); err != nil {
			return answer{err: err}
		}
	}
	s.encoded = b.encode(s.encoded[:0], s.producer.settings.compressor, &s.scratch, s.identity)
	s.asked = s.producer.requests.Add(1)
	resp, err := s.producer.client.Broker(int(leader)).Request(ctx, s.newRequest(id))
	if err != nil {
		return answer{err: err}
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			return newAnswer(p)
		}
	}
	return answer{} // acks=0 has no answer
}

func (s *sender) newRequest(id topic.ID) *kmsg.ProduceRequest {
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = s.index, s.encoded
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = s.producer.topic, id
	t.Partitions = append(t.Partitions, p)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = s.producer.settings.acks, int32(s.producer.settings.request.Milliseconds())
	req.Topics = append(req.Topics, t)
	return req
}

func newAnswer(p kmsg.ProduceResponseTopicPartition) answer {
	a := answer{err: throwable.FromCode(p.ErrorCode, p.ErrorMessage)}
	for _, r := range p.ErrorRecords {
		if a.records == nil {
			a.records = map[int32]string{}
		}
		a.records[r.RelativeOffset] = throwable.From(a.err).Message
		if r.ErrorMessage != nil {
			a.records[r.RelativeOffset] = *r.ErrorMessage
		}
	}
	return a
}

type verdict int8

const (
	delivered verdict = iota
	again             // the broker, or the network, did not take it
	unreached         // nothing was sent: there is no connection or no leader
	splitUp           // too large, but it has several records
	failed
)

// judge decides what to do after an attempt.
func (s *sender) judge(b *batch, a answer, retries int, deadline time.Time) verdict {
	code := throwable.Code(a.err)
	switch {
	case a.err == nil || code == kerr.DuplicateSequenceNumber.Code:
		return delivered
	case code == kerr.MessageTooLarge.Code && b.count > 1:
		return splitUp
	case errors.Is(a.err, context.Canceled) || !time.Now().Before(deadline):
		return failed
	case isDial(a.err) || code == kerr.LeaderNotAvailable.Code:
		return unreached
	case retries <= 0:
		return failed
	case code == 0 || isIdentityLost(a.err) || kerr.IsRetriable(kerr.ErrorForCode(code)):
		return again
	}
	return failed
}

// isDial reports whether err means that there is no connection, so that nothing was sent.
func isDial(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial" || errors.Is(err, errAway)
}

// fail reports the records of b. Whether the broker has them is unknown if it has not answered, if the error may pass, as
// that of too few replicas after the append, or if either was so before (doubtful). Then the next batch starts under a new
// identity: under the sequence of this one, the broker would take it for this one, and throw it away.
func (s *sender) fail(b *batch, a answer, doubtful bool) error {
	err := a.err
	if doubtful || kerr.IsRetriable(kerr.ErrorForCode(throwable.Code(err))) {
		s.identity = nobody
	}
	if throwable.Code(err) == 0 {
		s.identity, s.encoded = nobody, nil
		err = throwable.Newf(throwable.Timeout, "Expiring %d record(s) for %s:%d ms has passed since batch creation",
			b.count, s.name(), time.Since(b.created).Milliseconds())
	}
	var last error
	s.producer.fail(b, func(i int) error {
		last = recordError(err, a, int32(i), b.count)
		return last
	})
	return last
}

// recordError returns the error of one record of a batch.
func recordError(err error, a answer, index int32, count int) error {
	if len(a.records) == 0 {
		return err
	}
	exception := *throwable.From(err)
	if message, bad := a.records[index]; bad {
		exception.Message = message
	} else if count > 1 {
		exception.Message = partOfInvalid
	}
	return &exception
}

func (s *sender) name() topic.Partition {
	return topic.Partition{Topic: s.producer.topic, Index: s.index}
}

// log says what happens after an error of the broker.
func (s *sender) log(with, what string, a answer) {
	name := "NETWORK_EXCEPTION"
	if protocol := kerr.TypedErrorForCode(throwable.Code(a.err)); protocol != nil {
		name = protocol.Message
	}
	s.producer.env.Log("WARN", senderClass, fmt.Sprintf("%sGot error produce response %s correlation id %d on "+
		"topic-partition %s, %s. Error: %s", s.producer.settings.logContext, with, s.asked, s.name(), what, name))
}

// pause waits for d; it returns false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
