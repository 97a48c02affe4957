package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Group is a consumer group. A rebalance of it takes as long as the broker does: members hear of it at
// once, where those of a real group may sleep until their next heartbeat is due.
type Group struct {
	ID           string
	Members      []*Member
	addr         string
	topic        string
	session      time.Duration
	subscription []byte
}

// NewGroup returns a group without members, which subscribes to a topic.
func NewGroup(addr, id, topic string, session time.Duration) *Group {
	return &Group{ID: id, addr: addr, topic: topic, session: session, subscription: subscription(topic)}
}

// Connect gives the group so many more members, which have connected and not joined yet.
func (g *Group) Connect(ctx context.Context, count int) error {
	for range count {
		conn, err := Dial(ctx, g.addr)
		if err != nil {
			return err
		}
		g.Members = append(g.Members, &Member{conn: conn, group: g})
	}
	return nil
}

// dialsAtOnce is how many members connect at a time: fewer than a listener has places for, socket.listen.backlog.size.
const dialsAtOnce = 16

// ConnectAll is Connect of several groups.
func ConnectAll(ctx context.Context, groups []*Group, count int) error {
	errs := make([]error, len(groups))
	places := make(chan struct{}, dialsAtOnce)
	var wg sync.WaitGroup
	for i, g := range groups {
		places <- struct{}{}
		wg.Go(func() {
			errs[i] = g.Connect(ctx, count)
			<-places
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close closes the connections.
func (g *Group) Close() {
	for _, m := range g.Members {
		m.conn.Close()
	}
}

// Form has all members join at once, and returns when each of them has its assignment in one generation.
func (g *Group) Form(ctx context.Context) error { return g.settle(ctx, true) }

// Grow has one more member join, and returns when all have their assignments anew.
func (g *Group) Grow(ctx context.Context) error {
	if err := g.Connect(ctx, 1); err != nil {
		return err
	}
	return g.settle(ctx, false)
}

// Shrink has the member leave that joined last, and returns when the others have their assignments anew.
func (g *Group) Shrink(ctx context.Context) error {
	last := g.Members[len(g.Members)-1]
	if err := g.leave(ctx, last); err != nil {
		return err
	}
	last.conn.Close()
	g.Members = g.Members[:len(g.Members)-1]
	return g.settle(ctx, false)
}

// Disband has all members leave.
func (g *Group) Disband(ctx context.Context) error {
	defer g.Close()
	return g.leave(ctx, g.Members...)
}

// leave ends memberships with one request.
func (g *Group) leave(ctx context.Context, members ...*Member) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = leaveVersion, g.ID
	for _, m := range members {
		req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: m.id})
	}
	resp, err := members[0].conn.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	l := resp.(*kmsg.LeaveGroupResponse)
	errs := []error{kerr.ErrorForCode(l.ErrorCode)}
	for _, m := range l.Members {
		errs = append(errs, kerr.ErrorForCode(m.ErrorCode))
	}
	return errors.Join(errs...)
}

// settlement is a rebalance under way.
type settlement struct {
	begun chan struct{} // closed once the broker knows of the rebalance
	over  chan struct{} // closed once all members are of one generation

	mu      sync.Mutex
	arrived map[int32]int // members with an assignment, by generation
}

// settle waits for a rebalance to end. With all, every member joins by itself; else those that are members do
// when a heartbeat tells them to.
func (g *Group) settle(ctx context.Context, all bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &settlement{begun: make(chan struct{}), over: make(chan struct{}), arrived: map[int32]int{}}
	if all {
		close(s.begun)
	}
	var wg sync.WaitGroup
	for i, m := range g.Members {
		wg.Go(func() {
			if err := m.settle(ctx, s, all || m.generation == 0, i == 0); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// heartbeatPause is what a member waits between its heartbeats while a group rebalances.
const heartbeatPause = 100 * time.Millisecond

// settle follows m through the rebalance, which the member that watches is the first to hear of.
func (m *Member) settle(ctx context.Context, s *settlement, joins, watches bool) (err error) {
	if !joins && watches {
		if err := m.await(ctx); err != nil {
			return err
		}
		close(s.begun)
		joins = true
	}
	for {
		if joins {
			if err := m.rebalance(ctx); err != nil {
				return err
			}
			s.arrive(m)
		}
		select {
		case <-s.over:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.begun:
		}
		if joins { // what comes is another rebalance, of members that were late
			select {
			case <-s.over:
				return nil
			case <-time.After(heartbeatPause):
			}
		}
		if joins, err = m.heartbeat(ctx); err != nil {
			return err
		}
	}
}

// await sends heartbeats until one says that the group rebalances.
func (m *Member) await(ctx context.Context) error {
	for {
		if told, err := m.heartbeat(ctx); told || err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// arrive notes that m has an assignment.
func (s *settlement) arrive(m *Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived[m.generation]++; s.arrived[m.generation] == len(m.group.Members) {
		close(s.over)
	}
}

// FormAll is Form of several groups at the same time.
func FormAll(ctx context.Context, groups []*Group) error {
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() { errs[i] = g.Form(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
