package propagate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// askPause is how long to wait after the controller could not be asked.
const askPause = 50 * time.Millisecond

// Versions of AlterPartition: with names, and with ids and broker epochs.
const (
	alterByName = 1
	alterByID   = 3
)

// ControllerOptions configure a Controller. All fields are required.
type ControllerOptions struct {
	BrokerID    int32
	BrokerEpoch func() int64
	// Address returns where the controller is reached; false if none is known.
	Address func() (string, bool)
	Dial    func(ctx context.Context, addr string) (*interbroker.Conn, error)
	Logger  logrus.FieldLogger
}

// Controller propagates by AlterPartition. It implements replica.Propagator.
type Controller struct {
	*queue
	opts   ControllerOptions
	cancel context.CancelFunc
	wg     sync.WaitGroup
	conn   *interbroker.Conn // nil: none
	failed bool              // the last request, which is then not logged again
}

// NewController returns a running propagator.
func NewController(opts ControllerOptions) *Controller {
	c := &Controller{queue: newQueue(), opts: opts}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.wg.Go(func() { c.run(ctx) })
	return c
}

// Close ends it; what is proposed and not answered yet is forgotten.
func (c *Controller) Close() {
	c.cancel()
	c.wg.Wait()
}

func (c *Controller) run(ctx context.Context) {
	defer c.disconnect()
	for c.sleep(ctx, -1) {
		for proposals := c.take(); len(proposals) > 0 && ctx.Err() == nil; proposals = c.take() {
			again, err := c.propose(ctx, proposals)
			if err != nil {
				c.disconnect()
				if !c.failed && ctx.Err() == nil {
					c.opts.Logger.WithError(err).Warn("cannot change ISRs, trying again")
				}
			}
			c.failed = err != nil
			if len(again) > 0 {
				c.again(again)
				select {
				case <-ctx.Done():
				case <-time.After(askPause):
				}
			}
		}
	}
}

func (c *Controller) disconnect() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// propose sends one request and returns what has to be proposed again.
func (c *Controller) propose(ctx context.Context, proposals []replica.Proposal) (again []replica.Proposal, err error) {
	resp, err := c.ask(ctx, request(c.opts.BrokerID, c.opts.BrokerEpoch(), proposals))
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return proposals, err
	}
	answers := answersOf(resp)
	for _, p := range proposals {
		a, ok := answers[key(resp.Version, &p)]
		if !ok {
			again = append(again, p)
			continue
		}
		outcome, retry := verdict(a)
		switch {
		case a.ErrorCode == kerr.NotController.Code:
			err = kerr.NotController // another one, as soon as the metadata names it
			again = append(again, p)
		case retry:
			again = append(again, p)
		default:
			p.Done(outcome)
		}
	}
	return again, err
}

func (c *Controller) ask(ctx context.Context, req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	if c.conn == nil {
		addr, ok := c.opts.Address()
		if !ok {
			return nil, errors.New("no controller is known")
		}
		conn, err := c.opts.Dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	resp, err := c.conn.RoundTrip(ctx, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.AlterPartitionResponse), nil
}

// request puts proposals into one request: by topic id, unless one of the topics has none.
func request(broker int32, epoch int64, proposals []replica.Proposal) *kmsg.AlterPartitionRequest {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = alterByID, broker, epoch
	for i := range proposals {
		if proposals[i].TopicID.IsZero() {
			req.Version = alterByName
		}
	}
	at := map[answerKey]int{}
	for i := range proposals {
		p := &proposals[i]
		k := key(req.Version, p)
		k.index = 0
		n, ok := at[k]
		if !ok {
			n = len(req.Topics)
			at[k] = n
			t := kmsg.NewAlterPartitionRequestTopic()
			t.Topic, t.TopicID = p.Topic, p.TopicID
			req.Topics = append(req.Topics, t)
		}
		q := kmsg.NewAlterPartitionRequestTopicPartition()
		q.Partition, q.LeaderEpoch, q.PartitionEpoch, q.NewISR = p.Index, p.LeaderEpoch, p.Version, p.ISR
		for _, id := range p.ISR {
			member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR() // no broker epochs with ZooKeeper
			member.BrokerID = id
			q.NewEpochISR = append(q.NewEpochISR, member)
		}
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, q)
	}
	return req
}

// answerKey names a partition as the version of a request does.
type answerKey struct {
	id    topic.ID
	name  string
	index int32
}

func key(version int16, p *replica.Proposal) answerKey {
	if version > alterByName {
		return answerKey{id: p.TopicID, index: p.Index}
	}
	return answerKey{name: p.Topic, index: p.Index}
}

func answersOf(resp *kmsg.AlterPartitionResponse) map[answerKey]*kmsg.AlterPartitionResponseTopicPartition {
	answers := map[answerKey]*kmsg.AlterPartitionResponseTopicPartition{}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			k := answerKey{id: t.TopidID, index: t.Partitions[j].Partition}
			if resp.Version <= alterByName {
				k = answerKey{name: t.Topic, index: t.Partitions[j].Partition}
			}
			answers[k] = &t.Partitions[j]
		}
	}
	return answers
}

// verdict turns an answer into an outcome, or into the wish to be asked again
// (Partition.handleAlterPartitionError).
func verdict(a *kmsg.AlterPartitionResponseTopicPartition) (o replica.Outcome, again bool) {
	switch a.ErrorCode {
	case 0:
		return replica.Outcome{Verdict: replica.Accepted, LeaderEpoch: a.LeaderEpoch, Version: a.PartitionEpoch, ISR: a.ISR}, false
	case kerr.OperationNotAttempted.Code, kerr.IneligibleReplica.Code:
		return replica.Outcome{Verdict: replica.Rejected}, false
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code, kerr.FencedLeaderEpoch.Code,
		kerr.InvalidUpdateVersion.Code, kerr.InvalidRequest.Code, kerr.NewLeaderElected.Code:
		return replica.Outcome{Verdict: replica.Overtaken}, false
	}
	return replica.Outcome{}, true
}

var _ replica.Propagator = (*Controller)(nil)
