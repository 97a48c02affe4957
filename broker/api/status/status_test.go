package status

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
)

func TestCode(t *testing.T) {
	tests := []struct {
		err  error
		want int16
	}{
		{nil, 0},
		{fmt.Errorf("append: %w", replica.ErrNotLeader), 6},
		{&record.Error{Err: record.ErrInvalidRecord, Message: "x"}, 87},
		{fmt.Errorf("log a-0: %w", storage.ErrStorage), 56},
		{New(kerr.InvalidTopicException, "text"), 17},
		{fmt.Errorf("wrapped: %w", kerr.TopicAlreadyExists), 36},
		{errors.New("something else"), -1},
	}
	for _, tt := range tests {
		if got := Code(tt.err); got != tt.want {
			t.Errorf("Code(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestMessage(t *testing.T) {
	if m := Message(New(kerr.InvalidTopicException, "text")); m == nil || *m != "text" {
		t.Errorf("Message = %v, want the error's own text", m)
	}
	if m := Message(replica.ErrNotLeader); m != nil {
		t.Errorf("Message = %q, want none: the text is not Kafka's", *m)
	}
	long := Message(New(kerr.InvalidReplicaAssignment, strings.Repeat("x", 1<<20)))
	if want := "xx... (1044480 more bytes)"; len(*long) > 4200 || !strings.HasSuffix(*long, want) {
		t.Errorf("a text of 1 MiB is %d bytes in a response, want at most 4 KiB and %q", len(*long), want)
	}
}
