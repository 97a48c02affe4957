package network

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/request"
)

// TestHandlersThatWaitLetAnswersLeave: what was answered before a handler waits does not wait with it, alone or together with others;
// what comes behind does.
func TestHandlersThatWaitLetAnswersLeave(t *testing.T) {
	release := make(chan struct{})
	wait := func(r *request.Request) {
		r.Waits()
		<-release
		echo(r)
	}
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyLater, false, wait).
		together(keyBlock, func(rs []*request.Request) {
			echo(rs[0])
			for _, r := range rs[1:] {
				wait(r)
			}
		}), nil)
	for _, key := range []int16{keyLater, keyBlock} {
		c := s.dial()
		first := int16(keyEcho)
		if key == keyBlock {
			first = keyBlock
		}
		var all []byte
		for i, k := range []int16{first, key, keyEcho} {
			all = append(all, frame(k, 0, int32(i), nil)...)
		}
		c.send(all)
		c.expect(0, "")
		if c.answers() {
			t.Error("what comes behind a handler that waits was answered before")
		}
		release <- struct{}{}
		c.expect(1, "")
		c.expect(2, "")
	}
}
