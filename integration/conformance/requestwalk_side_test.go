package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// requestSide is one of the two brokers of a walk. Its ids of topics and its directories have logical names, which
// requests are made with and answers are compared by.
type requestSide struct {
	t      testing.TB
	name   string
	addr   string
	zk     *zooKeeper
	dirs   []string
	conn   *conn
	topics []string
	ids    map[[16]byte]string // of all topics that there have been
}

// logicalDirs stand for the log directory, and for one that there is not.
var logicalDirs = []string{"/the/directory", "/another"}

func newRequestSide(t testing.TB, name string, c *cluster.Cluster) *requestSide {
	b := c.Broker(1)
	s := &requestSide{t: t, name: name, addr: b.Addr(), zk: openZooKeeper(t, c.ZooKeeper(), 30*time.Second), ids: map[[16]byte]string{}}
	s.dirs = []string{b.DataDir(), b.DataDir() + "-that-is-not"}
	ask[*kmsg.FindCoordinatorResponse](t, s.addr, withVersion(findCoordinator(0, "g"), 4))
	cluster.Await(t, patience, name+" coordinates groups", func() bool {
		fetch := ask[*kmsg.OffsetFetchResponse](t, s.addr, withVersion(offsetFetch("g", "nope"), 8))
		return fetch.Groups[0].ErrorCode == 0
	})
	return s
}

// begin begins an episode.
func (s *requestSide) begin(k known) {
	s.topics = k.topics
	if s.conn != nil {
		s.conn.Close()
	}
	s.conn = nil
	if _, quiet := s.state(); !quiet {
		cluster.Await(s.t, walkPatience, s.name+" is quiet", func() bool { _, quiet := s.state(); return quiet })
	}
}

// unanswered is what became of a request to which nothing came within walkPatience.
const unanswered = "nothing"

// walkPatience bounds the wait for an answer, and for the topics to be the same: longer than any timeout of a request.
const walkPatience = walkTimeout*time.Millisecond + patience

// take sends a request and returns what comes of it, as text and in a word.
func (s *requestSide) take(req kmsg.Request) (text, what string) {
	if s.conn == nil {
		c, err := tryDial(s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		s.conn = c
	}
	req = s.translated(req)
	if r, ok := req.(*kmsg.StopReplicaRequest); ok {
		req = kafkaStopReplica{r}
	}
	s.conn.SetDeadline(time.Now().Add(walkPatience))
	text, what, err := s.exchange(req)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		text, what = unanswered, unanswered
	} else if errors.Is(err, io.EOF) || isReset(err) {
		text, what = "closed", kmsg.NameForKey(req.Key())+":closed"
	} else if err != nil {
		s.t.Errorf("%s: %v", s.name, err)
		text = err.Error()
	}
	if err != nil {
		s.conn.Close()
		s.conn = nil
	}
	return text, what
}

func (s *requestSide) exchange(req kmsg.Request) (text, what string, err error) {
	if r, ok := req.(*kmsg.ProduceRequest); ok && r.Acks == 0 {
		if err := s.conn.sendRequest(req); err != nil {
			return "", "", err
		}
		return "no answer is due", "Produce:unacknowledged", s.conn.ping()
	}
	resp, err := s.conn.ask(req)
	if err != nil {
		return "", "", err
	}
	code := int16(0)
	if list := errorsIn(resp); len(list) > 0 {
		code = list[0].code
	}
	return s.normal(resp), fmt.Sprintf("%s:%d", kmsg.NameForKey(req.Key()), code), nil
}

// translated returns a copy of a request with this broker's ids and directories.
func (s *requestSide) translated(req kmsg.Request) kmsg.Request {
	b := req.AppendTo(nil)
	copied := kmsg.RequestForKey(req.Key())
	copied.SetVersion(req.GetVersion())
	if err := copied.ReadFrom(b); err != nil {
		s.t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	s.translate(reflect.ValueOf(copied).Elem())
	return copied
}

func (s *requestSide) translate(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "UnknownTags" {
				s.translate(v.Field(i))
			}
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Array {
			for i := range v.Len() {
				s.translate(v.Index(i))
			}
		}
	case reflect.Array:
		for i, topic := range s.topics {
			if v.Interface() == any(logicalID(i)) {
				for id, name := range s.ids {
					if name == topic {
						v.Set(reflect.ValueOf(id))
					}
				}
			}
		}
	case reflect.String:
		if i := slices.Index(logicalDirs, v.String()); i >= 0 {
			v.SetString(s.dirs[i])
		}
	}
}

// state returns what ZooKeeper knows of topics and configurations, and whether nothing is under way.
func (s *requestSide) state() (text string, quiet bool) {
	var b strings.Builder
	quiet = true
	for _, dir := range []string{"/brokers/topics", "/config/topics", "/config/brokers", "/admin/delete_topics", "/admin"} {
		children, _, err := s.zk.Children(s.zk.chroot + dir)
		if err != nil && !errors.Is(err, zk.ErrNoNode) { // of the connection, which comes back
			return err.Error(), false
		}
		slices.Sort(children)
		fmt.Fprintf(&b, "%s: %q\n", dir, children)
		for _, name := range children {
			switch dir {
			case "/admin/delete_topics":
				quiet = false
			case "/admin":
				quiet = quiet && name == "delete_topics"
			case "/config/topics", "/config/brokers":
				fmt.Fprintf(&b, "%s: %s\n", name, sortedJSON(s.read(dir+"/"+name)))
			default:
				if strings.HasPrefix(name, "walk-") && !slices.Contains(s.topics, name) {
					continue // of an episode that is over
				}
				quiet = s.topic(&b, name) && quiet
			}
		}
	}
	return b.String(), quiet
}

// topic describes a topic, and reports whether all of its partitions have a state.
func (s *requestSide) topic(b *strings.Builder, name string) bool {
	path := "/brokers/topics/" + name
	text := s.read(path)
	var found struct {
		ID         string             `json:"topic_id"`
		Partitions map[string][]int32 `json:"partitions"`
	}
	if json.Unmarshal([]byte(text), &found) != nil {
		return false
	}
	if id, err := topic.ParseID(found.ID); err == nil && s.ids[id] == "" {
		s.ids[id] = name
	}
	fmt.Fprintf(b, "%s: %s\n", name, sortedJSON(strings.ReplaceAll(text, found.ID, "ID")))
	for p := range len(found.Partitions) {
		state := s.read(fmt.Sprintf("%s/partitions/%d/state", path, p))
		if fmt.Fprintf(b, "\t%d: %s\n", p, sortedJSON(state)); state == "" {
			return false
		}
	}
	return true
}

// read returns the data of a znode, "" if there is none.
func (s *requestSide) read(path string) string {
	data, _, err := s.zk.Get(s.zk.chroot + path)
	if err != nil {
		return ""
	}
	return string(data)
}

// sortedJSON returns JSON with its keys in order.
func sortedJSON(text string) string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return textOf(v)
}
