package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// ErrNoOffset reports, with auto.offset.reset=none, a partition for which the group has no committed
// offset, or one that is not in the log (NoOffsetForPartitionException).
var ErrNoOffset = errors.New("no committed offset, and auto.offset.reset is none")

// consumerSettings are a consumer's properties.
type consumerSettings struct {
	servers      []string
	clientID     string
	group        string
	reset        string
	autoCommit   bool
	autoInterval time.Duration
	session      time.Duration
	heartbeat    time.Duration
	rebalance    time.Duration
	isolation    kafka.IsolationLevel
	assignor     kafka.GroupBalancer
	minBytes     int64
	maxBytes     int64
	maxWait      time.Duration
	maxRecords   int64
}

var assignors = map[string]kafka.GroupBalancer{
	"range":      kafka.RangeGroupBalancer{},
	"roundrobin": kafka.RoundRobinGroupBalancer{},
	"org.apache.kafka.clients.consumer.RangeAssignor":      kafka.RangeGroupBalancer{},
	"org.apache.kafka.clients.consumer.RoundRobinAssignor": kafka.RoundRobinGroupBalancer{},
}

func readConsumer(p Properties) (consumerSettings, error) {
	r := read(p)
	s := consumerSettings{
		servers:      r.servers(),
		clientID:     r.text("client.id", ""),
		group:        r.text("group.id", ""),
		reset:        r.oneOf("auto.offset.reset", "latest", "earliest", "latest", "none"),
		autoCommit:   r.boolean("enable.auto.commit", true),
		autoInterval: r.millis("auto.commit.interval.ms", 5000, 0),
		session:      r.millis("session.timeout.ms", 45_000, 1),
		heartbeat:    r.millis("heartbeat.interval.ms", 3000, 1),
		rebalance:    r.millis("max.poll.interval.ms", 300_000, 1),
		minBytes:     r.number("fetch.min.bytes", 1, 1, math.MaxInt32),
		maxBytes:     r.number("fetch.max.bytes", 50<<20, 1, math.MaxInt32),
		maxWait:      r.millis("fetch.max.wait.ms", 500, 1),
		maxRecords:   r.number("max.poll.records", 500, 1, math.MaxInt32),
	}
	if r.oneOf("isolation.level", "read_uncommitted", "read_uncommitted", "read_committed") == "read_committed" {
		s.isolation = kafka.ReadCommitted
	}
	strategy := r.text("partition.assignment.strategy", "range")
	if s.assignor = assignors[strategy]; s.assignor == nil {
		r.refuse("partition.assignment.strategy", strategy, "one of range, roundrobin, or Kafka's class for one of them")
	}
	if s.group == "" {
		r.refuse("group.id", "", "the name of a group")
	}
	if s.heartbeat >= s.session {
		r.refuse("heartbeat.interval.ms", fmt.Sprint(s.heartbeat.Milliseconds()), "below session.timeout.ms")
	}
	return s, r.finish("consumer")
}

// Consumer reads topics as a member of a group. One goroutine uses it at a time, but for Close.
//
// With enable.auto.commit, a Poll commits what the Poll before has returned, once auto.commit.interval.ms has
// passed since the last commit, and Close does in any case: what a Poll has returned counts as processed when
// the next one begins.
type Consumer struct {
	settings consumerSettings
	reader   *kafka.Reader
	ctx      context.Context // of CommitAsync's goroutines; it ends with Close, as reader.Close ends no commit that waits
	cancel   context.CancelFunc
	wg       sync.WaitGroup // CommitAsync's goroutines

	polled     map[TopicPartition]kafka.Message // the last record returned of each partition and not yet committed
	lastCommit time.Time
}

// NewConsumer returns a consumer of topics with the properties, which are:
//
//	bootstrap.servers              host:port,...; required
//	group.id                       required
//	client.id
//	auto.offset.reset              latest (default), earliest, none: where to begin without a committed offset
//	enable.auto.commit             true
//	auto.commit.interval.ms        5000
//	session.timeout.ms             45000
//	heartbeat.interval.ms          3000
//	max.poll.interval.ms           how long the others wait for this member in a rebalance: 300000
//	isolation.level                read_uncommitted (default), read_committed
//	partition.assignment.strategy  range (default), roundrobin
//	fetch.min.bytes, fetch.max.bytes, fetch.max.wait.ms, max.poll.records
//
// With auto.offset.reset=none it asks the brokers for the committed offsets, and returns ErrNoOffset if one is
// missing or not in the log; otherwise it connects in the background.
func NewConsumer(ctx context.Context, p Properties, topics ...string) (*Consumer, error) {
	s, err := readConsumer(p)
	if err != nil {
		return nil, err
	}
	if len(topics) == 0 {
		return nil, errors.New("consumer: no topics")
	}
	if s.reset == "none" {
		if err := s.requireOffsets(ctx, topics); err != nil {
			return nil, err
		}
	}
	start := kafka.LastOffset
	if s.reset == "earliest" {
		start = kafka.FirstOffset
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:               s.servers,
		GroupID:               s.group,
		GroupTopics:           topics,
		Dialer:                &kafka.Dialer{ClientID: s.clientID, Timeout: 10 * time.Second, DualStack: true},
		GroupBalancers:        []kafka.GroupBalancer{s.assignor},
		HeartbeatInterval:     s.heartbeat,
		SessionTimeout:        s.session,
		RebalanceTimeout:      s.rebalance,
		StartOffset:           start,
		IsolationLevel:        s.isolation,
		MinBytes:              int(s.minBytes),
		MaxBytes:              int(max(s.maxBytes, s.minBytes)),
		MaxWait:               s.maxWait,
		ReadBatchTimeout:      s.maxWait + 10*time.Second,
		OffsetOutOfRangeError: s.reset == "none",
		JoinGroupBackoff:      joinBackoff,
		// Topics may get partitions while the group runs.
		WatchPartitionChanges: true,
	})
	c := &Consumer{settings: s, reader: reader, polled: map[TopicPartition]kafka.Message{}, lastCommit: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// requireOffsets makes sure that the group has committed an offset for every partition, and that it is in the log.
func (s *consumerSettings) requireOffsets(ctx context.Context, topics []string) error {
	transport := &kafka.Transport{ClientID: s.clientID}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(s.servers...), Transport: transport}
	metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return err
	}
	asked := map[string][]int{}
	for _, t := range metadata.Topics {
		if t.Error != nil {
			return fmt.Errorf("topic %s: %w", t.Name, t.Error)
		}
		for _, p := range t.Partitions {
			asked[t.Name] = append(asked[t.Name], p.ID)
		}
	}
	offsets, err := committed(ctx, client, s.group, asked)
	if err != nil {
		return err
	}
	logs, err := bounds(ctx, client, asked)
	if err != nil {
		return err
	}
	for at, offset := range offsets {
		switch log := logs[at]; {
		case offset < 0:
			return fmt.Errorf("%w: group %s, partition %s-%d", ErrNoOffset, s.group, at.Topic, at.Partition)
		case offset < log.First || offset > log.End:
			return fmt.Errorf("%w: group %s, partition %s-%d has offsets from %d to %d, and not %d",
				ErrNoOffset, s.group, at.Topic, at.Partition, log.First, log.End, offset)
		}
	}
	return nil
}

// joinBackoff is how long a member waits to join again after an attempt that has failed, because the coordinator has gone,
// say. By default it would be 5 s.
const joinBackoff = 500 * time.Millisecond

// gatherTime is how long Poll waits for more records once it has one.
const gatherTime = 5 * time.Millisecond

// Poll returns records that have come, at most max.poll.records; it waits for the first one until ctx ends, and
// returns none without an error if that is by a deadline. Records of a partition are in order. ErrClosed
// after Close; ErrNoOffset; with enable.auto.commit also that of a commit that has failed, which the next Poll tries again.
func (c *Consumer) Poll(ctx context.Context) ([]Record, error) {
	if c.ctx.Err() != nil {
		return nil, ErrClosed // the reader may have records left
	}
	if c.settings.autoCommit && time.Since(c.lastCommit) >= c.settings.autoInterval {
		if err := c.CommitSync(ctx); err != nil {
			return nil, c.pollError(ctx, err)
		}
	}
	first, err := c.reader.FetchMessage(ctx)
	if err != nil {
		return nil, c.pollError(ctx, err)
	}
	records := []Record{c.take(&first)}
	gathering, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	for len(records) < int(c.settings.maxRecords) {
		m, err := c.reader.FetchMessage(gathering)
		if err != nil {
			break // met again by the next Poll, if it is one that lasts
		}
		records = append(records, c.take(&m))
	}
	return records, nil
}

func (c *Consumer) pollError(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case isClosed(err):
		return ErrClosed
	case errors.Is(err, kafka.OffsetOutOfRange):
		return fmt.Errorf("%w: %w", ErrNoOffset, err)
	}
	return err
}

func isClosed(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) }

func (c *Consumer) take(m *kafka.Message) Record {
	c.polled[TopicPartition{m.Topic, m.Partition}] = *m
	return recordOf(m)
}

// CommitSync commits what Poll has returned, and returns when the coordinator has confirmed it.
func (c *Consumer) CommitSync(ctx context.Context) error {
	messages := c.toCommit()
	c.lastCommit = time.Now()
	if len(messages) == 0 {
		return nil
	}
	if err := c.reader.CommitMessages(ctx, messages...); err != nil {
		for i := range messages { // unless later ones were returned meanwhile
			m := &messages[i]
			key := TopicPartition{m.Topic, m.Partition}
			if _, later := c.polled[key]; !later {
				c.polled[key] = *m
			}
		}
		if isClosed(err) {
			return ErrClosed
		}
		return fmt.Errorf("commit offsets of group %s: %w", c.settings.group, err)
	}
	return nil
}

// CommitAsync commits what Poll has returned and returns at once. done, unless it is nil, is called with the
// outcome, on another goroutine. What failed is not tried again: the next commit goes beyond it.
func (c *Consumer) CommitAsync(ctx context.Context, done func(error)) {
	messages := c.toCommit()
	c.lastCommit = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	c.wg.Go(func() { // Close waits for it
		defer cancel()
		defer stop()
		var err error
		if len(messages) > 0 {
			err = c.reader.CommitMessages(ctx, messages...)
		}
		if done != nil {
			done(err)
		}
	})
}

// toCommit takes the last records that were returned, by topic and partition.
func (c *Consumer) toCommit() []kafka.Message {
	messages := slices.SortedFunc(maps.Values(c.polled), func(a, b kafka.Message) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	clear(c.polled)
	return messages
}

// Close commits, with enable.auto.commit, what Poll has returned, waits for what CommitAsync has begun, both as far as
// ctx allows, and leaves the group. The goroutine that polls must have ended, or be stopped by its ctx.
func (c *Consumer) Close(ctx context.Context) error {
	var err error
	if c.settings.autoCommit {
		err = c.CommitSync(ctx)
	}
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.wg.Wait()
	c.cancel()
	return errors.Join(err, c.reader.Close())
}
