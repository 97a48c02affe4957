package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/cluster/netns"
	"github.com/gregor-mq/gregor/integration/history"
)

// A pipeliner sends batches to one partition without waiting for the answers to those before, without
// idempotence, and never again. What had no answer when its connection ends is of unknown outcome.
type pipeliner struct {
	number   int32
	part     history.Partition
	node     *netns.Node
	client   *kgo.Client // finds the leader
	recorder *history.Recorder

	next int32

	mu struct {
		sync.Mutex
		acked time.Time
	}
}

// window is the number of requests without an answer.
const window = 16

func newPipeliner(number int32, part history.Partition, w *world, r *history.Recorder) (*pipeliner, error) {
	node := w.clients[int(number)%len(w.clients)]
	client, err := kgo.NewClient(kgo.SeedBrokers(w.addrs()...), cluster.Dialer(node), kgo.RetryTimeout(clientTimeout))
	if err != nil {
		return nil, err
	}
	return &pipeliner{number: number, part: part, node: node, client: client, recorder: r}, nil
}

func (p *pipeliner) run(ctx context.Context) {
	for ctx.Err() == nil {
		if conn, err := p.connect(ctx); err == nil {
			p.session(ctx, conn)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	p.client.Close()
}

// connect connects to the partition's leader.
func (p *pipeliner) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(p.part.Topic)}}
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		for _, part := range t.Partitions {
			for _, b := range resp.Brokers {
				if part.Partition == p.part.Index && b.NodeID == part.Leader {
					return p.node.DialContext(ctx, "tcp", net.JoinHostPort(b.Host, fmt.Sprint(b.Port)))
				}
			}
		}
	}
	return nil, errors.New("no leader")
}

// session sends until something is wrong, and gives every batch its outcome.
func (p *pipeliner) session(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan history.Run, window)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(sent)
		p.write(ctx, conn, sent)
	})
	for r := bufio.NewReader(conn); ; {
		run, ok := <-sent
		if !ok {
			break
		}
		if err := p.answer(conn, r, &run); err != nil {
			p.note(history.Unknown, run)
			break
		}
		p.note(history.Acked, run)
	}
	cancel()
	conn.Close()
	wg.Wait()
	for run := range sent {
		p.note(history.Unknown, run)
	}
}

func (p *pipeliner) note(kind history.Kind, run history.Run) {
	p.recorder.Add(history.Event{Kind: kind, Client: p.number, Partition: p.part, Runs: []history.Run{run}, Epoch: -1})
	if kind == history.Acked {
		p.mu.Lock()
		p.mu.acked = time.Now()
		p.mu.Unlock()
	}
}

// write sends batches until ctx ends or the connection breaks. A batch stands in sent before any of it
// is written.
func (p *pipeliner) write(ctx context.Context, conn net.Conn, sent chan<- history.Run) {
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("pipelined"))
	for correlation := int32(0); ctx.Err() == nil; correlation++ {
		run := history.Run{ID: history.ID{Producer: p.number, Sequence: p.next}, Offset: -1, Count: 1 + rand.Int32N(5)}
		batch, err := p.batch(run)
		if err != nil {
			panic(err) // a record that we have made
		}
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = p.part.Index, batch
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = 8, -1, int32(clientTimeout.Milliseconds())
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: p.part.Topic, Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
		select {
		case <-ctx.Done():
			return
		case sent <- run:
			p.next += run.Count
		}
		conn.SetWriteDeadline(time.Now().Add(clientTimeout))
		if _, err := conn.Write(formatter.AppendRequest(nil, req, correlation)); err != nil {
			return
		}
		// In bursts, so that several requests arrive in one read.
		if correlation%8 == 7 {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

func (p *pipeliner) batch(run history.Run) ([]byte, error) {
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{LeaderEpoch: -1})
	for i := range run.Count {
		id := history.ID{Producer: p.number, Sequence: run.Sequence + i}
		if err := b.Append(record.Record{Timestamp: time.Now().UnixMilli(), Value: history.Value(p.part, id, 80)}); err != nil {
			return nil, err
		}
	}
	return b.Build(nil)
}

// answer reads the next answer, which is that to run: answers come in the order of the requests.
func (p *pipeliner) answer(conn net.Conn, r io.Reader, run *history.Run) error {
	conn.SetReadDeadline(time.Now().Add(clientTimeout + 2*time.Second))
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > 1<<20 {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err != nil {
		return err
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = 8
	if err := resp.ReadFrom(frame[4:]); err != nil {
		return err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return errors.New("an answer without the partition")
	}
	got := resp.Topics[0].Partitions[0]
	if got.ErrorCode != 0 {
		return fmt.Errorf("error %d", got.ErrorCode)
	}
	run.Offset = got.BaseOffset
	return nil
}

// stalled says that nothing was acknowledged since a time; nothing is all right.
func (p *pipeliner) stalled(since time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.acked.Before(since) {
		return fmt.Sprintf("nothing of producer %d is acknowledged by %v", p.number, p.part)
	}
	return ""
}
