package clients

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// unreachable is a consumer that has polled a record and cannot commit it: there are no brokers.
func unreachable(t *testing.T) *Consumer {
	t.Helper()
	c, err := NewConsumer(t.Context(), Properties{"bootstrap.servers": "127.0.0.1:1", "group.id": "readers", "auto.commit.interval.ms": "0"}, "orders")
	if err != nil {
		t.Fatal(err)
	}
	c.take(&kafka.Message{Topic: "orders"})
	return c
}

// What CommitAsync has begun without an end of its own does not keep Close beyond its ctx.
func TestCloseGivesUpWhatCannotBeCommitted(t *testing.T) {
	c := unreachable(t)
	outcome := make(chan error, 1)
	c.CommitAsync(context.Background(), func(err error) { outcome <- err })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- c.Close(ctx) }()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("Close hangs")
	}
	if err := <-outcome; !errors.Is(err, context.Canceled) {
		t.Errorf("the commit ended with %v", err)
	}
}

// A Poll whose deadline passes while it commits has nothing to tell, and its next one commits.
func TestPollThatCannotCommitEndsWithItsDeadline(t *testing.T) {
	c := unreachable(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if records, err := c.Poll(ctx); len(records) != 0 || err != nil {
		t.Errorf("%v, %v", records, err)
	}
	if len(c.toCommit()) != 1 {
		t.Error("the record is not to be committed any more")
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}
