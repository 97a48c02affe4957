package propagate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

const (
	// noteInterval is the least time between two notes.
	noteInterval = 200 * time.Millisecond
	// notedPartitions bounds one note: a znode may have up to 1 MiB.
	notedPartitions = 2000
	// writePause is how long to wait after ZooKeeper could not be asked.
	writePause = time.Second
)

// States is the part of ZooKeeper that is needed; a *zkutil.Client has it.
type States interface {
	WritePartitionStates(ctx context.Context, writes []zkutil.PartitionWrite) []zkutil.PartitionResult
	NotifyISRChange(ctx context.Context, partitions []topic.Partition) (string, error)
}

// ZooKeeper propagates through ZooKeeper alone. It implements replica.Propagator.
type ZooKeeper struct {
	*queue
	states States
	log    logrus.FieldLogger
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// The loop's own.
	changed []topic.Partition // to be noted
	noted   time.Time         // when the last note was left
}

// NewZooKeeper returns a running propagator.
func NewZooKeeper(states States, log logrus.FieldLogger) *ZooKeeper {
	z := &ZooKeeper{queue: newQueue(), states: states, log: log}
	ctx, cancel := context.WithCancel(context.Background())
	z.cancel = cancel
	z.wg.Go(func() { z.run(ctx) })
	return z
}

// Close ends it; what is proposed and not written yet is forgotten.
func (z *ZooKeeper) Close() {
	z.cancel()
	z.wg.Wait()
}

func (z *ZooKeeper) run(ctx context.Context) {
	wait := time.Duration(-1)
	for z.sleep(ctx, wait) {
		wait = -1
		if !z.write(ctx, z.take()) {
			wait = writePause
		}
		if len(z.changed) == 0 {
			continue
		}
		if left := noteInterval - time.Since(z.noted); left > 0 {
			wait = left
		} else if !z.note(ctx) {
			wait = writePause
		}
	}
}

// write writes the states that are proposed and reports whether all got an answer.
func (z *ZooKeeper) write(ctx context.Context, proposals []replica.Proposal) bool {
	if len(proposals) == 0 {
		return true
	}
	writes := make([]zkutil.PartitionWrite, len(proposals))
	for i, p := range proposals {
		writes[i] = zkutil.PartitionWrite{Partition: p.Partition, State: zkutil.PartitionState{
			Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, ISR: p.ISR, ControllerEpoch: p.ControllerEpoch, Version: p.Version,
		}}
	}
	var unanswered []replica.Proposal
	for i, r := range z.states.WritePartitionStates(ctx, writes) {
		p := proposals[i]
		switch {
		case r.Err == nil:
			z.changed = append(z.changed, p.Partition)
			p.Done(replica.Outcome{Verdict: replica.Accepted, LeaderEpoch: r.State.LeaderEpoch, Version: r.State.Version, ISR: r.State.ISR})
		case errors.Is(r.Err, zkutil.ErrBadVersion), errors.Is(r.Err, zkutil.ErrNoNode):
			z.logger(p).WithError(r.Err).Info("ISR was not changed, the controller has changed the partition since")
			p.Done(replica.Outcome{Verdict: replica.Overtaken})
		default:
			// It may have been done all the same. Written again, it fails then and is found to be there.
			if ctx.Err() == nil {
				z.logger(p).WithError(r.Err).Warn("cannot change the ISR, trying again")
			}
			unanswered = append(unanswered, p)
		}
	}
	z.again(unanswered)
	return len(unanswered) == 0
}

// note tells the controller of the changes. It reports whether that worked.
func (z *ZooKeeper) note(ctx context.Context) bool {
	slices.SortFunc(z.changed, topic.Partition.Compare)
	z.changed = slices.Compact(z.changed)
	for len(z.changed) > 0 {
		n := min(len(z.changed), notedPartitions)
		if _, err := z.states.NotifyISRChange(ctx, z.changed[:n]); err != nil {
			if ctx.Err() == nil {
				z.log.WithError(err).Warn("cannot tell the controller of changed ISRs, trying again")
			}
			return false
		}
		z.changed = z.changed[n:]
	}
	z.changed, z.noted = nil, time.Now()
	return true
}

func (z *ZooKeeper) logger(p replica.Proposal) logrus.FieldLogger {
	return z.log.WithFields(logrus.Fields{"topic": p.Topic, "partition": p.Index, "epoch": p.LeaderEpoch, "isr": p.ISR})
}

var _ replica.Propagator = (*ZooKeeper)(nil)
