package conformance

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// difference is an answer that is not Kafka's, and why it is not.
type difference struct {
	outcome string
	why     string
}

// TestErrors replays the table of errors, in its order, on one cluster. What a row does is there for
// those after it.
func TestErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range readErrors(t) {
		if why, ok := notReplayed[r.id()]; ok {
			if why == "" {
				t.Errorf("%s: not replayed for no reason", r.id())
			}
			continue
		}
		if onKafka() && byHistory[r.id()] {
			continue
		}
		build := scriptOf(r)
		if build == nil {
			t.Errorf("no request for %q (v%d), and no reason why there is none", r.id(), r.version)
			continue
		}
		want := r.want.String()
		if d, ok := differs[r.id()]; ok && (!onKafka() || d.outcome == checked) { // which is no difference to Kafka
			want = d.outcome
		}
		c := build(w)
		if c.check != nil && strings.HasPrefix(want, "answer of ") {
			want = checked // the bytes that were recorded are those of another cluster
		}
		w.replay(r, c, want)
	}
}

// scriptOf returns what sends a row's request, nil if nothing does.
func scriptOf(r row) func(*world) call {
	if r.what == "API of KRaft mode or not advertised" {
		return unparsed(padded(r.key, r.version))
	}
	for _, s := range []script{rowsTopics, rowsProduce, rowsFetch, rowsOther, rowsConfigs, rowsController, rowsFrames, rowsDead, rowsSecurity} {
		if build, ok := s[r.id()]; ok {
			return build
		}
	}
	return nil
}

// replay makes the call of a row and compares what comes of it.
func (w *world) replay(r row, c call, want string) {
	w.t.Helper()
	if c.req != nil {
		c.req.SetVersion(r.version)
	}
	deadline := time.Now().Add(patience)
	for {
		got, err := w.exchange(c)
		switch {
		case err != nil:
			w.t.Errorf("%s (v%d): %v; want %s", r.id(), r.version, err, want)
		case same(got, want):
		case c.again && time.Now().Before(deadline):
			time.Sleep(20 * time.Millisecond)
			continue
		default:
			w.t.Errorf("%s (v%d):\n\tgot  %s\n\twant %s", r.id(), r.version, got, want)
		}
		return
	}
}

// same compares outcomes. The table shows the first error of an answer, and not of every answer what
// stands in brackets.
func same(got outcome, want string) bool {
	if got.String() == want {
		return true
	}
	extra := ""
	if i := strings.Index(got.err, " ["); i >= 0 {
		got.err, extra = got.err[:i], got.err[i:]
	}
	if !strings.Contains(want, "; ") {
		got.err, _, _ = strings.Cut(got.err, "; ")
	}
	if strings.Contains(want, " [") {
		got.err += extra
	}
	return got.String() == want
}

// checked is the outcome of a call whose answer was found right by its own check.
const checked = "checked"

// noAnswer is what comes of a request that is not answered on a connection that stays open.
const noAnswer = "no answer"

// exchange makes a call on a connection of its own and says what came of it.
func (w *world) exchange(c call) (outcome, error) {
	conn, err := tryDial(w.addr(c.to))
	if err != nil {
		return outcome{}, err
	}
	defer conn.Close()
	if err := conn.send(c.encode()); err != nil && !isReset(err) {
		return outcome{}, err
	}
	if c.silent {
		return outcome{err: noAnswer, message: "-"}, w.unanswered(conn, c)
	}
	content, err := conn.readFrame()
	if err != nil {
		if closed := conn.awaitClose(); closed != nil {
			return outcome{}, fmt.Errorf("%w; %w", err, closed)
		}
		return outcome{err: "-", message: "-", closed: true}, nil
	}
	o, err := w.read(c, content)
	if err == nil && c.check != nil {
		err = c.check(content)
	}
	if err != nil {
		return o, err
	}
	if err := conn.ping(); err != nil {
		return o, fmt.Errorf("after the answer %s: %w", o, err)
	}
	return o, nil
}

// unanswered checks that a call that is due no answer got none: a ping's comes first.
func (w *world) unanswered(conn *conn, c call) error {
	if c.rest == nil {
		return conn.ping()
	}
	if err := conn.send(c.rest); err != nil {
		return err
	}
	content, err := conn.readFrame()
	if err == nil {
		_, err = decode(withVersion(kmsg.NewPtrApiVersionsRequest(), 0), pingID, content)
	}
	return err
}

func (c call) encode() []byte {
	switch {
	case c.req != nil:
		return encode(c.req, answerID)
	case c.frame != nil:
		return frame(c.frame)
	}
	return c.bytes
}

// read understands the answer to a call.
func (w *world) read(c call, content []byte) (outcome, error) {
	req := c.req
	if req == nil {
		req = c.means
	}
	if c.check != nil {
		return outcome{err: checked, message: "-"}, nil
	}
	if req == nil {
		return outcome{err: fmt.Sprintf("answer of %d bytes: %s", len(content), hex.EncodeToString(content)), message: "-"}, nil
	}
	resp, err := decode(req, answerID, content)
	if err != nil {
		return outcome{}, err
	}
	if c.after != nil {
		c.after(resp)
	}
	return outcomeOf(resp), nil
}
