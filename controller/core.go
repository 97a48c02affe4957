package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/zkutil"
)

// ErrMoved reports that another broker is the controller: /controller_epoch is not what this one has set it to.
var ErrMoved = zkutil.ErrControllerMoved

// core is the active controller without its goroutines and connections: the events, what they make
// of the state, and what they write and send. Only the loop calls it.
//
// An event's error means that it was not completed: this broker is not the controller any more
// (ErrMoved), its session ended, or the context did. Failures of single partitions are logged and change
// nothing, so that a later event tries again.
type core struct {
	state
	id            int32
	listener      string // the one that brokers use among themselves
	unclean       func() bool
	deletesTopics bool // delete.topic.enable
	zk            znodes
	peers         peers
	vigil         lookout
	// takeProducerIDs takes the next block of producer ids for a broker.
	takeProducerIDs func(ctx context.Context, broker int32) (zkutil.ProducerIDBlock, error)
	// setFeatures writes /feature if it has that version, or creates it.
	setFeatures func(ctx context.Context, data []byte, version int32) error
	log         logrus.FieldLogger
}

// writeAll does one write each and returns the outcomes in order.
func (c *core) writeAll(ctx context.Context, writes []write) ([]outcome, error) {
	if len(writes) == 0 {
		return nil, nil
	}
	groups := make([][]write, len(writes))
	for i := range writes {
		groups[i] = writes[i : i+1]
	}
	grouped, err := c.zk.Write(ctx, c.fence, groups)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(writes))
	for i := range grouped {
		outcomes[i] = grouped[i][0]
	}
	return outcomes, nil
}

// deleteNodes deletes nodes, whatever their versions; those that are gone already are no failure.
func (c *core) deleteNodes(ctx context.Context, paths []string) error {
	writes := make([]write, len(paths))
	for i, path := range paths {
		writes[i] = write{kind: deleteNode, path: path, version: zkutil.AnyVersion}
	}
	outcomes, err := c.writeAll(ctx, writes)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.err != nil && !errors.Is(o.err, zkutil.ErrNoNode) {
			return fmt.Errorf("delete %s: %w", paths[i], o.err)
		}
	}
	return nil
}

// failures gathers what went wrong with single partitions, to log one line for each reason.
type failures struct {
	reasons []string
	by      map[string][]fmt.Stringer
}

func (f *failures) add(p fmt.Stringer, reason string) {
	if f.by == nil {
		f.by = map[string][]fmt.Stringer{}
	}
	if f.by[reason] == nil {
		f.reasons = append(f.reasons, reason)
	}
	f.by[reason] = append(f.by[reason], p)
}

// log writes the failures of a change to the state to, which are errors to Kafka.
func (f *failures) log(c *core, to fmt.Stringer) {
	for _, reason := range f.reasons {
		c.log.WithField("count", len(f.by[reason])).
			Errorf("Failed to change state to %s for %s: %s", to, some(f.by[reason]), reason)
	}
}

// someCount is how many names a log line lists at most.
const someCount = 10

// some lists the first few of names for a log line.
func some[T fmt.Stringer](names []T) string {
	var b strings.Builder
	for i, name := range names[:min(len(names), someCount)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name.String())
	}
	if more := len(names) - someCount; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// String names a replica as Kafka's logs do.
func (r replica) String() string {
	return fmt.Sprintf("[Topic=%s,Partition=%d,Replica=%d]", r.Topic, r.Index, r.broker)
}

// String returns t's name.
func (t *topicState) String() string { return t.name }

// live returns the replicas of ps that are online, and those that are not.
func (s *state) split(replicas []replica) (online, offline []replica) {
	for _, r := range replicas {
		if s.online(r.broker, r.partition) {
			online = append(online, r)
		} else {
			offline = append(offline, r)
		}
	}
	return online, offline
}

// partitionsOf returns the partitions of topics, in order.
func partitionsOf(topics []*topicState) (ps []*partition) {
	for _, t := range topics {
		ps = slices.Concat(ps, t.partitions)
	}
	return ps
}
