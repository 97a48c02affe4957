package main

import (
	"context"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// A kafkaGoMember consumes with kafka-go's ConsumerGroup, and reads each partition with a Reader of its own.
type kafkaGoMember struct {
	member
	consumers *kafkago.ConsumerGroup
	dialer    *kafkago.Dialer
	line      *lifeline
	cancel    context.CancelFunc
}

func startKafkaGo(g *group, common member) (groupMember, error) {
	line := &lifeline{node: common.node()}
	dialer := &kafkago.Dialer{DialFunc: line.dial, Timeout: clientTimeout, DualStack: true}
	consumers, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: g.name, Brokers: g.world.addrs(), Dialer: dialer, Topics: g.topics, StartOffset: kafkago.FirstOffset,
		HeartbeatInterval: memberHeartbeat, SessionTimeout: memberSession, RebalanceTimeout: memberRebalance,
		JoinGroupBackoff: 200 * time.Millisecond, Timeout: commitTimeout,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &kafkaGoMember{member: common, consumers: consumers, dialer: dialer, line: line, cancel: cancel}
	g.wg.Go(func() { m.run(ctx) })
	return m, nil
}

func (m *kafkaGoMember) kill() {
	m.line.cut()
	m.cancel()
}

func (m *kafkaGoMember) leave() { m.cancel() }

// run takes part in one generation after the other.
func (m *kafkaGoMember) run(ctx context.Context) {
	defer m.consumers.Close()
	for ctx.Err() == nil {
		begun := m.group.recorder.Now()
		gen, err := m.consumers.Next(ctx)
		if err != nil {
			continue // Next has waited, or ctx has ended
		}
		assigned := m.event(groups.Assigned, begun, gen.MemberID, gen.ID, groups.UnknownBroker)
		fetched := m.event(groups.Fetched, begun, gen.MemberID, gen.ID, groups.UnknownBroker)
		for topic, all := range gen.Assignments {
			for _, a := range all {
				part := history.Partition{Topic: topic, Index: int32(a.ID)}
				assigned.Parts = append(assigned.Parts, groups.Part{Partition: part})
				fetched.Parts = append(fetched.Parts, groups.Part{Partition: part, Offset: max(a.Offset, -1)})
			}
		}
		m.group.recorder.Add(assigned)
		m.group.recorder.Add(fetched)
		for _, p := range fetched.Parts {
			gen.Start(func(ctx context.Context) { m.consume(ctx, gen, p.Partition, p.Offset) })
		}
	}
}

// consume reads a partition until the generation ends, or a commit fails, which ends it.
func (m *kafkaGoMember) consume(ctx context.Context, gen *kafkago.Generation, part history.Partition, from int64) {
	reader := kafkago.NewReader(kafkago.ReaderConfig{
		Brokers: m.group.world.addrs(), Dialer: m.dialer, Topic: part.Topic, Partition: int(part.Index),
		MaxBytes: 1 << 20, MaxWait: 250 * time.Millisecond, ReadBackoffMax: 500 * time.Millisecond,
	})
	defer reader.Close()
	if from < 0 {
		from = kafkago.FirstOffset
	}
	if reader.SetOffset(from) != nil {
		return
	}
	for ctx.Err() == nil {
		runs, err := m.read(ctx, reader, part)
		if len(runs) > 0 && !m.process(ctx, gen, part, runs) || err != nil {
			return
		}
	}
}

// read returns what comes within a short time, and waits for the first record.
func (m *kafkaGoMember) read(ctx context.Context, reader *kafkago.Reader, part history.Partition) (runs []history.Run, err error) {
	first, err := reader.ReadMessage(ctx)
	if err != nil {
		return nil, err
	}
	runs = appendValue(runs, part, first.Value, first.Offset)
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	for range batchRecords - 1 {
		next, err := reader.ReadMessage(soon)
		if err != nil {
			break // of soon; otherwise it comes again
		}
		runs = appendValue(runs, part, next.Value, next.Offset)
	}
	return runs, nil
}

// process takes its time, commits, and reports whether that was acknowledged.
func (m *kafkaGoMember) process(ctx context.Context, gen *kafkago.Generation, part history.Partition, runs []history.Run) bool {
	work(ctx)
	m.processed(m.event(groups.Processed, m.group.recorder.Now(), gen.MemberID, gen.ID, groups.UnknownBroker), part, runs)
	last := runs[len(runs)-1]
	next := last.Offset + int64(last.Count)
	m.group.passes(commitBegins)
	e := m.event(groups.Committed, m.group.recorder.Now(), gen.MemberID, gen.ID, groups.UnknownBroker)
	e.Parts = []groups.Part{{Partition: part, Offset: next}}
	if err := gen.CommitOffsets(map[string]map[int]int64{part.Topic: {int(part.Index): next}}); err != nil {
		e.Kind = groups.Uncertain
		m.group.recorder.Add(e)
		return false
	}
	m.group.acked(e)
	return true
}
