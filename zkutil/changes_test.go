package zkutil_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/zkutil"
)

// handled collects what Changes hands on.
type handled struct {
	mu      sync.Mutex
	notes   []string
	renewed int
	err     error // of the next Handle
}

func (h *handled) handle(_ context.Context, data []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, string(data))
	err := h.err
	h.err = nil
	return err
}

func (h *handled) renew(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renewed++
	h.notes = append(h.notes, "renewed")
	return nil
}

func (h *handled) await(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("notes %q", want), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Equal(h.notes, want)
	})
}

func (h *handled) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = nil
}

func leave(t *testing.T, c *zkutil.Client, notes ...string) {
	t.Helper()
	for _, note := range notes {
		_, err := c.Create(within(t), "/notes/note_", []byte(note), zkutil.PersistentSequential)
		must(t, err)
	}
}

func TestChanges(t *testing.T) {
	writer := connect(t)
	_, err := writer.Create(within(t), "/notes", nil, zkutil.Persistent)
	must(t, err)
	leave(t, writer, "before", "again", "again", "before")
	_, err = writer.Create(within(t), "/notes/stray", []byte("no note"), zkutil.Persistent)
	must(t, err)

	p := startProxy(t, sharedZooKeeper(t).Addr())
	reader := connectWith(t, options(t, p.addr()))
	log, lines := logger()
	h := &handled{}
	changes := zkutil.NewChanges(zkutil.ChangesOptions{
		Client: reader, Path: "/notes", Prefix: "note_", Handle: h.handle, Renewed: h.renew, Logger: log,
	})
	changes.Start()
	defer changes.Close()
	h.await(t, "before", "again")

	h.forget()
	leave(t, writer, "one")
	h.await(t, "one")
	h.mu.Lock()
	h.err = errors.New("cannot be handled")
	h.mu.Unlock()
	leave(t, writer, "bad")
	h.await(t, "one", "bad")
	leave(t, writer, "two", "one")
	h.await(t, "one", "bad", "two", "one") // the bad one does not come again
	joined := strings.Join(lines.all(), "\n")
	if !strings.Contains(joined, "Ignoring a node that is no change notification") || !strings.Contains(joined, "Error processing a change notification") {
		t.Errorf("log: %s", joined)
	}

	// A session ends while notes come.
	h.forget()
	p.expire()
	leave(t, writer, "meanwhile")
	h.await(t, "renewed", "meanwhile")
	h.mu.Lock()
	h.err = fmt.Errorf("handle: %w", zkutil.ErrSessionExpired)
	h.mu.Unlock()
	leave(t, writer, "interrupted")
	h.await(t, "renewed", "meanwhile", "interrupted")
	p.expire()
	h.await(t, "renewed", "meanwhile", "interrupted", "renewed", "interrupted")
}

// TestOldChangesAreDeleted, those too that are no notes, by whoever comes by.
func TestOldChangesAreDeleted(t *testing.T) {
	c := connect(t)
	_, err := c.Create(within(t), "/notes", nil, zkutil.Persistent)
	must(t, err)
	_, err = c.Create(within(t), "/notes/stray", nil, zkutil.Persistent)
	must(t, err)
	leave(t, c, "old", "older")
	h := &handled{}
	changes := zkutil.NewChanges(zkutil.ChangesOptions{Client: c, Path: "/notes", Prefix: "note_", Handle: h.handle, Expiry: time.Nanosecond})
	changes.Start()
	defer changes.Close()
	h.await(t, "old", "older")
	eventually(t, "deletion", func() bool {
		left, _, err := c.Children(within(t), "/notes")
		must(t, err)
		return len(left) == 0
	})
	leave(t, c, "new")
	h.await(t, "old", "older", "new")
}
