// Package simulated is brokers that are nothing but registrations in ZooKeeper and sockets on which they take a controller's
// orders, so that one machine can hold a cluster of tens of thousands of partitions, whose controller is real.
package simulated

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/peer"
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
	*peer.Peer
	id int32
}

// Start registers brokers. End ends them.
func Start(ctx context.Context, zk *zkutil.Client, ids ...int32) (*Brokers, error) {
	b := &Brokers{brokers: map[int32]*broker{}, told: map[int32]Orders{}}
	for _, id := range ids {
		one := &broker{Brokers: b, id: id}
		var err error
		if one.Peer, err = peer.Start(one.answer, kmsg.LeaderAndISR); err != nil {
			return b, err
		}
		b.brokers[id] = one
		_, err = zk.RegisterBroker(ctx, &zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{
			{Listener: Listener, Host: "127.0.0.1", Port: one.Port(), SecurityProtocol: "PLAINTEXT"}}})
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
		b.brokers[id].Close()
	}
}

// Told returns what the controller of an epoch has told the brokers.
func (b *Brokers) Told(epoch int32) Orders {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[epoch]
}

func (b *broker) answer(req kmsg.Request) kmsg.Response {
	orders, ok := req.(*kmsg.LeaderAndISRRequest)
	if !ok {
		return req.ResponseKind()
	}
	replicas, leaders := 0, 0
	for _, t := range orders.TopicStates {
		replicas += len(t.PartitionStates)
		for i := range t.PartitionStates {
			if t.PartitionStates[i].Leader == b.id {
				leaders++
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.told[orders.ControllerEpoch]
	o.Replicas, o.Leaders, o.Last = o.Replicas+replicas, o.Leaders+leaders, time.Now()
	b.told[orders.ControllerEpoch] = o
	return peer.Obeyed(orders)
}
