package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// How members work: a batch of up to batchRecords takes up to processing, but one of many takes up to
// slowProcessing, longer than the others wait for the member in a rebalance: its commit comes too late then.
const (
	memberSession   = 4 * time.Second
	memberRebalance = 6 * time.Second
	memberHeartbeat = 500 * time.Millisecond
	commitTimeout   = 6 * time.Second
	processing      = 150 * time.Millisecond
	slowProcessing  = memberRebalance + 2*time.Second
	manyBatches     = 150
	batchRecords    = 200
)

// work takes the time that processing a batch takes.
func work(ctx context.Context) {
	if rand.IntN(manyBatches) == 0 {
		rest(ctx, rand.N(slowProcessing))
		return
	}
	rest(ctx, rand.N(processing))
}

// member is what members of all clients have in common.
type member struct {
	group  *group
	number int32 // in the history of the logs
	place  int   // in the group
}

// node returns where the member runs.
func (m member) node() *netns.Node { return m.group.world.clients[int(m.number)%clients] }

// event returns an event of the group.
func (m member) event(kind groups.Kind, begun time.Duration, memberID string, generation, broker int32) groups.Event {
	return groups.Event{Kind: kind, Group: m.group.name, Begun: begun, Member: memberID, Generation: generation, Broker: broker}
}

// processed notes records of a partition that the member has processed; offsets without a gap are one part.
func (m member) processed(e groups.Event, part history.Partition, runs []history.Run) {
	end := func(r history.Run) int64 { return r.Offset + int64(r.Count) }
	first := 0
	for i := range runs {
		if i+1 < len(runs) && end(runs[i]) == runs[i+1].Offset {
			continue
		}
		e.Parts = append(e.Parts, groups.Part{Partition: part, Offset: runs[first].Offset, Count: end(runs[i]) - runs[first].Offset})
		first = i + 1
	}
	m.group.recorder.Add(e)
	m.group.contents.Add(history.Event{Kind: history.Processed, Client: m.number, Partition: part, Runs: runs, Epoch: -1})
}

// A lifeline holds the connections of a member, which end when it is killed.
type lifeline struct {
	node *netns.Node

	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

var errDead = errors.New("the member was killed")

func (l *lifeline) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	if dead {
		return nil, errDead
	}
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	conn, err := l.node.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		conn.Close()
		return nil, errDead
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// cut closes all connections, and lets no new ones be.
func (l *lifeline) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for _, conn := range l.conns {
		conn.Close()
	}
}
