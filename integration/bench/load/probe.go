package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Partition is one partition of a topic.
type Partition struct {
	Topic string
	Index int32
}

// probePause is how long a client waits before it tries again what was refused.
const probePause = 5 * time.Millisecond

// Probe sends one record with acks=all to each partition, as a client that retries, and returns once all are accepted:
// how long that took, from begin, and how many refusals were retried. It knows brokers by their addresses, some of which may be
// dead. Each broker is sent all that it leads at once; what is refused, or was sent to a broker that is gone,
// is sent anew to whoever leads by then.
func Probe(ctx context.Context, begin time.Time, brokers []string, partitions []Partition) (took time.Duration, refused int, err error) {
	p := &probe{brokers: brokers, conns: map[string]*Conn{}, open: map[Partition]bool{}}
	defer p.close()
	for _, name := range partitions {
		p.open[name] = true
	}
	one, err := NewBatches("probe", 1, Spec{RecordBytes: 100})
	if err != nil {
		return 0, 0, err
	}
	p.batch = one.frames[0].batch
	for {
		if ctx.Err() != nil {
			return 0, p.refused, fmt.Errorf("%d of %d partitions take no records: %w, %w", len(p.open), len(partitions), context.Cause(ctx), p.last)
		}
		leaders, err := p.leaders(ctx)
		if err == nil {
			p.produce(ctx, leaders)
		} else {
			p.last = err
		}
		if len(p.open) == 0 {
			return time.Since(begin), p.refused, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(probePause):
		}
	}
}

type probe struct {
	brokers []string
	conns   map[string]*Conn
	open    map[Partition]bool // not accepted yet
	batch   []byte
	refused int
	last    error // why a partition was not accepted
}

func (p *probe) close() {
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *probe) conn(ctx context.Context, addr string) (*Conn, error) {
	if c := p.conns[addr]; c != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := Dial(ctx, addr)
	if err == nil {
		p.conns[addr] = c
	}
	return c, err
}

func (p *probe) drop(addr string) {
	p.conns[addr].Close()
	delete(p.conns, addr)
}

// leaders returns what is open by the addresses of the leaders, as the first broker says that answers.
func (p *probe) leaders(ctx context.Context) (byAddr map[string][]Partition, err error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	names := map[string]bool{}
	for name := range p.open {
		if !names[name.Topic] {
			names[name.Topic] = true
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name.Topic})
		}
	}
	for _, addr := range p.brokers {
		var c *Conn
		if c, err = p.conn(ctx, addr); err != nil {
			continue
		}
		var resp kmsg.Response
		if resp, err = c.RoundTrip(ctx, req); err != nil {
			p.drop(addr)
			continue
		}
		return p.byLeader(resp.(*kmsg.MetadataResponse)), nil
	}
	return nil, err
}

func (p *probe) byLeader(m *kmsg.MetadataResponse) map[string][]Partition {
	addrs := map[int32]string{}
	for _, b := range m.Brokers {
		addrs[b.NodeID] = fmt.Sprintf("%s:%d", b.Host, b.Port)
	}
	byAddr := map[string][]Partition{}
	for _, t := range m.Topics {
		for i := range t.Partitions {
			s := &t.Partitions[i]
			name := Partition{*t.Topic, s.Partition}
			switch addr := addrs[s.Leader]; {
			case !p.open[name]:
			case s.ErrorCode != 0 || addr == "":
				p.last = fmt.Errorf("leader of %v: %w", name, kerr.ErrorForCode(s.ErrorCode))
			default:
				byAddr[addr] = append(byAddr[addr], name)
			}
		}
	}
	return byAddr
}

// produce sends a record to each of the partitions and notes which are accepted.
func (p *probe) produce(ctx context.Context, byAddr map[string][]Partition) {
	type answer struct {
		addr string
		resp kmsg.Response
		err  error
	}
	answers := make(chan answer, len(byAddr))
	var wg sync.WaitGroup
	for addr, names := range byAddr {
		c, err := p.conn(ctx, addr)
		if err != nil {
			p.last, p.refused = err, p.refused+len(names)
			continue
		}
		wg.Go(func() {
			resp, err := c.RoundTrip(ctx, p.request(names))
			answers <- answer{addr, resp, err}
		})
	}
	wg.Wait()
	close(answers)
	for a := range answers {
		if a.err != nil {
			p.last, p.refused = a.err, p.refused+len(byAddr[a.addr])
			p.drop(a.addr)
			continue
		}
		for _, t := range a.resp.(*kmsg.ProduceResponse).Topics {
			for _, s := range t.Partitions {
				name := Partition{t.Topic, s.Partition}
				if s.ErrorCode == 0 {
					delete(p.open, name)
					continue
				}
				p.refused++
				p.last = fmt.Errorf("produce to %v: %w", name, kerr.ErrorForCode(s.ErrorCode))
			}
		}
	}
}

func (p *probe) request(names []Partition) *kmsg.ProduceRequest {
	slices.SortFunc(names, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Index, b.Index))
	})
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, -1, 30000
	for _, name := range names {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != name.Topic {
			t := kmsg.NewProduceRequestTopic()
			t.Topic = name.Topic
			req.Topics = append(req.Topics, t)
		}
		s := kmsg.NewProduceRequestTopicPartition()
		s.Partition, s.Records = name.Index, p.batch
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, s)
	}
	return req
}
