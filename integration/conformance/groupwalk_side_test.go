package conformance

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// walkSide is one of the two brokers of a walk.
type walkSide struct {
	t    testing.TB
	name string
	addr string

	group   string            // that the walk is about
	real    map[string]string // member ids by their logical names
	logical map[string]string // and the other way round

	conns   map[string]*walkConn
	admin   *conn
	mu      sync.Mutex
	arrived []walkAnswer // not yet collected

	answers   map[int]*walkAnswer
	fresh     []int  // steps of the answers that have come since the last step was settled
	described string // the group
	state     string
	readers   sync.WaitGroup // of the connections
}

// walkAnswer is what came of a step.
type walkAnswer struct {
	step   int
	resp   kmsg.Response
	closed bool // the connection was closed instead
}

// summary names the API and the first error of the answer.
func (a *walkAnswer) summary() string {
	if a.closed {
		return "closed"
	}
	var code int16
	if list := errorsIn(a.resp); len(list) > 0 {
		code = list[0].code
	}
	return fmt.Sprint(kmsg.NameForKey(a.resp.Key()), " ", code)
}

// walkConn is a connection with the requests that are not answered on it.
type walkConn struct {
	*conn
	mu   sync.Mutex
	open []pendingStep
}

type pendingStep struct {
	step        int
	correlation int32
	req         kmsg.Request
}

func newWalkSide(t testing.TB, name, addr string) *walkSide {
	s := &walkSide{t: t, name: name, addr: addr, real: map[string]string{}, logical: map[string]string{}, conns: map[string]*walkConn{}, answers: map[int]*walkAnswer{}}
	s.admin = dial(t, addr)
	s.admin.SetDeadline(time.Time{})
	t.Cleanup(s.hangUp)
	return s
}

// prepare creates the topics, __consumer_offsets among them.
func (s *walkSide) prepare() {
	ask[*kmsg.CreateTopicsResponse](s.t, s.addr, withVersion(createTopics(topicOf("orders", sized(2, 1)), topicOf("bills")), 7))
	cluster.Await(s.t, patience, s.name+" coordinates groups", func() bool {
		ready := true
		for i := range 20 {
			find := ask[*kmsg.FindCoordinatorResponse](s.t, s.addr, withVersion(findCoordinator(0, fmt.Sprint(i)), 4))
			fetch := ask[*kmsg.OffsetFetchResponse](s.t, s.addr, withVersion(offsetFetch(fmt.Sprint(i), "orders"), 8))
			ready = ready && find.Coordinators[0].ErrorCode == 0 && fetch.Groups[0].ErrorCode == 0
		}
		return ready
	})
	r := kmsg.NewPtrDeleteGroupsRequest()
	r.Groups = []string{""}
	ask[*kmsg.DeleteGroupsResponse](s.t, s.addr, withVersion(r, 2))
}

// id returns this broker's member id of a logical one; what nobody was given stands for itself.
func (s *walkSide) id(logical string) string {
	if id, ok := s.real[logical]; ok {
		return id
	}
	return logical
}

// send sends the request of a step.
func (s *walkSide) send(step int, q *walkRequest) {
	c := s.conns[q.conn]
	if c == nil {
		plain, err := tryDial(s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		plain.SetDeadline(time.Time{})
		c = &walkConn{conn: plain}
		s.conns[q.conn] = c
		s.readers.Go(func() { s.read(c) })
	}
	req := q.build(s.id)
	req.SetVersion(q.version)
	c.mu.Lock()
	c.correlation++
	c.open = append(c.open, pendingStep{step, c.correlation, req})
	b := encode(req, c.correlation)
	c.mu.Unlock()
	if q.null {
		b = nullify(b, req.IsFlexible())
	}
	c.send(b) // if that fails, read finds out
}

// nullMark is where nullify puts null, as a string or as bytes.
const nullMark = "NULLNULLNULL"

// nullify puts null where nullMark is in a frame.
func nullify(frame []byte, flexible bool) []byte {
	text := string(frame[4:])
	n := byte(len(nullMark))
	switch {
	case flexible:
		text = strings.ReplaceAll(text, string([]byte{n + 1})+nullMark, "\x00")
	case strings.Contains(text, string([]byte{0, 0, 0, n})+nullMark):
		text = strings.ReplaceAll(text, string([]byte{0, 0, 0, n})+nullMark, "\xff\xff\xff\xff")
	default:
		text = strings.ReplaceAll(text, string([]byte{0, n})+nullMark, "\xff\xff")
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

// read takes the answers on c.
func (s *walkSide) read(c *walkConn) {
	for {
		content, err := c.readFrame()
		c.mu.Lock()
		open := c.open
		var a walkAnswer
		switch {
		case len(open) == 0:
			c.mu.Unlock()
			return
		case err != nil:
			a = walkAnswer{step: open[0].step, closed: true}
			c.open = nil
		default:
			resp, err := decode(open[0].req, open[0].correlation, content)
			if err != nil {
				s.t.Errorf("%s, step %d: %v", s.name, open[0].step, err)
			}
			a = walkAnswer{step: open[0].step, resp: resp}
			c.open = open[1:]
		}
		c.mu.Unlock()
		s.mu.Lock()
		s.arrived = append(s.arrived, a)
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// hangUp closes the connections, and waits until nobody reads from them.
func (s *walkSide) hangUp() {
	for _, c := range s.conns {
		c.mu.Lock()
		c.open = nil
		c.mu.Unlock()
		c.Close()
	}
	s.readers.Wait()
	clear(s.conns)
}

// collect takes the answers that have come, and learns member ids from them.
func (s *walkSide) collect() {
	s.mu.Lock()
	arrived := s.arrived
	s.arrived = nil
	s.mu.Unlock()
	for i := range arrived {
		a := &arrived[i]
		s.answers[a.step] = a
		s.fresh = append(s.fresh, a.step)
		if r, ok := a.resp.(*kmsg.JoinGroupResponse); ok && r.MemberID != "" && s.logical[r.MemberID] == "" && memberID.MatchString(r.MemberID) {
			name := fmt.Sprintf("member-of-step-%d", a.step)
			s.real[name], s.logical[r.MemberID] = r.MemberID, name
		}
	}
	slices.Sort(s.fresh)
}

func (s *walkSide) answeredSteps() string { return fmt.Sprint(s.fresh) }

func (s *walkSide) hasAnswered(step int) bool { return s.answers[step] != nil }

// jammed reports whether something else is to be answered first on the connection of a step.
func (s *walkSide) jammed(conn string, step int) bool {
	c := s.conns[conn]
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) > 0 && c.open[0].step != step
}

// waiting reports whether requests are not answered on a connection.
func (s *walkSide) waiting(conn string) bool { return s.jammed(conn, -1) }

// describe asks what a group is.
func (s *walkSide) describe(group string) {
	s.t.Helper()
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Groups = []string{group}
	resp, err := s.admin.ask(withVersion(r, 5))
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	s.state = resp.(*kmsg.DescribeGroupsResponse).Groups[0].State
	s.described = s.normal(&walkAnswer{resp: resp})
}
