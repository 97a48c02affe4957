package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// AlterPartition changes ISRs as their leader asks (KIP-497, KafkaController.processAlterPartition). answer is
// called once, on any goroutine, and must not block.
//
// A leader that had no answer asks again, and learns that what it wants is so already: hence the order
// of the checks, and that a controller that cannot tell says it is none.
func (c *Controller) AlterPartition(req *kmsg.AlterPartitionRequest, answer func(*kmsg.AlterPartitionResponse)) {
	c.ask(fmt.Sprintf("AlterPartition(%d)", req.BrokerID), func(ctx context.Context, core *core) error {
		resp, err := core.alterPartition(ctx, req)
		if err == nil {
			answer(resp)
			c.afterAlteration(core, req)
		}
		return err
	}, func(err error) {
		resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		if errors.Is(err, ErrNotActive) {
			resp.ErrorCode = kerr.NotController.Code
		}
		answer(resp)
	})
}

// Versions of AlterPartition: from which on topics are known by their ids, and members of the ISR have broker
// epochs (KIP-903), which ZooKeeper-based brokers leave unset.
const (
	alterByID     = 2
	alterByEpochs = 3
)

// alteration is what a request wants for one partition, and what comes of it.
type alteration struct {
	*partition
	next *leadership // its version is the partition epoch that the leader knows
	code int16
}

func (c *core) alterPartition(ctx context.Context, req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	if b := c.brokers[req.BrokerID]; b == nil || b.Epoch != req.BrokerEpoch {
		c.log.WithField("broker", req.BrokerID).Infof("Ignoring AlterPartition due to unknown broker or stale broker epoch %d", req.BrokerEpoch)
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp, nil
	}
	wanted, err := c.alterations(req)
	if err != nil {
		return nil, err
	}
	var changes []change
	told := map[*partition]bool{}
	for p, a := range wanted {
		told[p] = true
		var changed bool
		if changed, a.code = c.mayAlter(req, a); changed {
			changes = append(changes, change{partition: p, old: p.leadership, next: a.next})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return a.partition.Compare(b.Partition) })
	if err := c.alter(ctx, wanted, changes); err != nil {
		return nil, err
	}
	b := newBatch()
	b.toAll, b.announced = true, told
	c.flush(b)
	c.answerAlterations(req, resp, wanted)
	return resp, nil
}

// alterations lists the partitions of req that have a leader; of one that is named twice the last
// counts.
func (c *core) alterations(req *kmsg.AlterPartitionRequest) (map[*partition]*alteration, error) {
	wanted := map[*partition]*alteration{}
	for i := range req.Topics {
		t := c.alteredTopic(req, i)
		if t == nil {
			continue
		}
		for _, q := range req.Topics[i].Partitions {
			if q.LeaderRecoveryState != 0 && q.LeaderRecoveryState != 1 {
				return nil, fmt.Errorf("AlterPartition of broker %d: there is no leader recovery state %d", req.BrokerID, q.LeaderRecoveryState)
			}
			p := t.partition(q.Partition)
			if p == nil || p.leadership == nil {
				continue
			}
			isr := slices.Clone(q.NewISR)
			if req.Version >= alterByEpochs {
				isr = make([]int32, len(q.NewEpochISR))
				for j, member := range q.NewEpochISR {
					isr[j] = member.BrokerID
				}
			}
			wanted[p] = &alteration{partition: p, next: &leadership{
				Leader: req.BrokerID, LeaderEpoch: q.LeaderEpoch, ISR: isr,
				Recovering: q.LeaderRecoveryState == 1, Version: q.PartitionEpoch,
			}}
		}
	}
	return wanted, nil
}

// alteredTopic returns the topic that req's i-th entry is about, nil if it is unknown.
func (c *core) alteredTopic(req *kmsg.AlterPartitionRequest, i int) *topicState {
	if req.Version >= alterByID {
		return c.names[topic.ID(req.Topics[i].TopicID)]
	}
	return c.topics[req.Topics[i].Topic]
}

// mayAlter checks what a leader wants against what is known, in Kafka's order. changed is false if
// it is so already, and with an error.
//
// Kafka does not look whether who asks leads the partition, whether it is in its own ISR, and whether
// there is any: no broker asks for the contrary, and it would leave a partition without its data.
func (c *core) mayAlter(req *kmsg.AlterPartitionRequest, a *alteration) (changed bool, code int16) {
	old, next := a.leadership, a.next
	log := c.log.WithField("broker", req.BrokerID).WithField("partition", a.Partition)
	switch {
	case next.Version > old.Version || next.LeaderEpoch > old.LeaderEpoch:
		return false, kerr.NotController.Code // the leader has heard from a later controller
	case next.LeaderEpoch < old.LeaderEpoch:
		return false, kerr.FencedLeaderEpoch.Code
	case next.Leader == old.Leader && slices.Equal(next.ISR, old.ISR) && next.Recovering == old.Recovering:
		return false, 0 // before the partition epoch is looked at, for who asks a second time
	case next.Version < old.Version:
		return false, kerr.InvalidUpdateVersion.Code
	case next.Recovering && len(next.ISR) > 1:
		log.Infof("Rejecting AlterPartition because the leader is recovering and the ISR %v is greater than 1", next.ISR)
		return false, kerr.InvalidRequest.Code
	case next.Recovering && !old.Recovering:
		log.Info("Rejecting AlterPartition because a leader that has recovered cannot be recovering again")
		return false, kerr.InvalidRequest.Code
	case next.Leader != old.Leader || !slices.Contains(next.ISR, next.Leader):
		log.Infof("Rejecting AlterPartition because the ISR %v is not that of the leader", next.ISR)
		return false, kerr.InvalidRequest.Code
	}
	ineligible := keep(next.ISR, func(id int32) bool { return c.brokers[id] == nil || c.shuttingDown[id] })
	if len(ineligible) == 0 {
		return true, 0
	}
	log.Infof("Rejecting AlterPartition because of ineligible replicas %v in the new ISR %v", ineligible, next.ISR)
	if req.Version >= alterByID {
		return false, kerr.IneligibleReplica.Code
	}
	return false, kerr.OperationNotAttempted.Code
}

// alter writes the changes and notes what came of each.
func (c *core) alter(ctx context.Context, wanted map[*partition]*alteration, changes []change) error {
	for _, ch := range changes {
		wanted[ch.partition].code = kerr.UnknownServerError.Code // until it is done
	}
	var failed failures
	done, overtaken, err := c.update(ctx, changes, &failed)
	if err != nil {
		return err
	}
	for _, reason := range failed.reasons {
		c.log.WithField("count", len(failed.by[reason])).Errorf("Failed to update the ISR of %s: %s", some(failed.by[reason]), reason)
	}
	for _, ch := range done {
		wanted[ch.partition].code = 0
	}
	for _, p := range overtaken {
		c.log.WithField("partition", p.Partition).Info("Failed to update the ISR, bad ZK version")
		wanted[p].code = kerr.InvalidUpdateVersion.Code
	}
	// A leader has written the znode itself: the note that it leaves may come later.
	return c.refresh(ctx, overtaken)
}

// answerAlterations fills in resp, in the order of req.
func (c *core) answerAlterations(req *kmsg.AlterPartitionRequest, resp *kmsg.AlterPartitionResponse, wanted map[*partition]*alteration) {
	for i := range req.Topics {
		t := c.alteredTopic(req, i)
		told := kmsg.AlterPartitionResponseTopic{Topic: req.Topics[i].Topic, TopidID: req.Topics[i].TopicID}
		for _, q := range req.Topics[i].Partitions {
			out := kmsg.AlterPartitionResponseTopicPartition{Partition: q.Partition, ErrorCode: kerr.UnknownTopicOrPartition.Code}
			if t == nil && req.Version >= alterByID {
				out.ErrorCode = kerr.UnknownTopicID.Code
			}
			if t != nil {
				if a := wanted[t.partition(q.Partition)]; a != nil {
					a.tell(&out)
				}
			}
			told.Partitions = append(told.Partitions, out)
		}
		resp.Topics = append(resp.Topics, told)
	}
}

// tell fills in out with what holds now, or why nothing was changed.
func (a *alteration) tell(out *kmsg.AlterPartitionResponseTopicPartition) {
	if out.ErrorCode = a.code; a.code != 0 {
		return
	}
	l := a.leadership
	out.LeaderID, out.LeaderEpoch, out.ISR, out.PartitionEpoch = l.Leader, l.LeaderEpoch, l.ISR, l.Version
	out.LeaderRecoveryState = recoveryState(l.Recovering)
}
