// Package simulated is brokers that are nothing but registrations in ZooKeeper and sockets on which they take a controller's
// orders, so that one machine can hold a cluster of tens of thousands of partitions, whose controller is real.
package simulated

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

// Listener is the name of the brokers' only listener.
const Listener = "PLAINTEXT"

// Brokers are simulated brokers, which share one ZooKeeper session.
type Brokers struct {
	brokers map[int32]*broker

	mu   sync.Mutex
	told map[int32]Orders // by controller epoch
}

// Orders is what brokers were told by one controller.
type Orders struct {
	Replicas int       // in LeaderAndIsr requests, each as often as it was told
	Leaders  int       // those among them that are the leader
	Last     time.Time // when the last such request came
}

type broker struct {
	*Brokers
	id       int32
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Start registers brokers. End ends them.
func Start(ctx context.Context, zk *zkutil.Client, ids ...int32) (*Brokers, error) {
	b := &Brokers{brokers: map[int32]*broker{}, told: map[int32]Orders{}}
	for _, id := range ids {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return b, err
		}
		one := &broker{Brokers: b, id: id, listener: l, conns: map[net.Conn]bool{}}
		b.brokers[id] = one
		one.wg.Go(one.accept)
		port := int32(l.Addr().(*net.TCPAddr).Port)
		_, err = zk.RegisterBroker(ctx, &zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{
			{Listener: Listener, Host: "127.0.0.1", Port: port, SecurityProtocol: "PLAINTEXT"}}})
		if err != nil {
			return b, fmt.Errorf("register simulated broker %d: %w", id, err)
		}
	}
	return b, nil
}

// End ends brokers, all if none is named, as their system does when processes end: their registrations stay.
func (b *Brokers) End(ids ...int32) {
	if len(ids) == 0 {
		for id := range b.brokers {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		one := b.brokers[id]
		one.listener.Close()
		one.mu.Lock()
		for c := range one.conns {
			c.Close()
		}
		one.mu.Unlock()
		one.wg.Wait()
	}
}

// Told returns what the controller of an epoch has told the brokers.
func (b *Brokers) Told(epoch int32) Orders {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[epoch]
}

func (b *broker) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns[c] = true
		b.mu.Unlock()
		b.wg.Go(func() {
			defer c.Close()
			for r := bufio.NewReader(c); b.serve(c, r) == nil; {
			}
		})
	}
}

// serve answers one request.
func (b *broker) serve(w io.Writer, r io.Reader) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return err
	}
	req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(frame)))
	req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:])))
	resp := req.ResponseKind()
	out := append(make([]byte, 4, 64), frame[4:8]...)
	if req.Key() != int16(kmsg.ApiVersions) {
		out = append(out, 0) // no tags in the header of the response
	}
	if lisr, ok := req.(*kmsg.LeaderAndISRRequest); ok {
		body := frame[10+int(binary.BigEndian.Uint16(frame[8:]))+1:]
		if err := lisr.ReadFrom(body); err != nil {
			return err
		}
		b.obey(lisr, resp.(*kmsg.LeaderAndISRResponse))
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err := w.Write(out)
	return err
}

func (b *broker) obey(req *kmsg.LeaderAndISRRequest, resp *kmsg.LeaderAndISRResponse) {
	replicas, leaders := 0, 0
	for _, t := range req.TopicStates {
		answer := kmsg.LeaderAndISRResponseTopic{TopicID: t.TopicID}
		for i := range t.PartitionStates {
			p := &t.PartitionStates[i]
			replicas++
			if p.Leader == b.id {
				leaders++
			}
			answer.Partitions = append(answer.Partitions, kmsg.LeaderAndISRResponseTopicPartition{Partition: p.Partition})
		}
		resp.Topics = append(resp.Topics, answer)
	}
	b.Brokers.mu.Lock()
	defer b.Brokers.mu.Unlock()
	o := b.told[req.ControllerEpoch]
	o.Replicas, o.Leaders, o.Last = o.Replicas+replicas, o.Leaders+leaders, time.Now()
	b.told[req.ControllerEpoch] = o
}
