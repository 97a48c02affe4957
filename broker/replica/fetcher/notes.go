package fetcher

import (
	"slices"
	"time"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// grace is how long a poll may go on after partitions have been added.
const grace = 10 * time.Millisecond

// note tells a loop of a partition: to follow it, to hand it over (see Pool.Resize) or, without either, not to
// follow it.
type note struct {
	name   topic.Partition
	follow *replica.Following
	move   bool
}

// leave leaves notes for the loop.
func (l *loop) leave(notes []note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.notes = append(l.mu.notes, notes...)
	l.hurryLocked()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hurryLocked gives a poll that is on a little more time, if there is a note about something to follow.
func (l *loop) hurryLocked() {
	adds := func(n note) bool { return n.follow != nil || n.move }
	if l.mu.interrupt != nil && l.mu.hurry == nil && slices.ContainsFunc(l.mu.notes, adds) {
		l.mu.hurry = time.AfterFunc(grace, l.hurryUp)
	}
}

// hurryUp breaks the poll off that keeps the loop from its notes.
func (l *loop) hurryUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.interrupt != nil && len(l.mu.notes) > 0 {
		l.mu.interrupt()
	}
}

func (l *loop) hasNotes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.notes) > 0
}

// takeNotes takes over what is to be followed, and what not any more.
func (l *loop) takeNotes() {
	l.mu.Lock()
	notes := l.mu.notes
	l.mu.notes = nil
	select {
	case <-l.wake:
	default:
	}
	l.mu.Unlock()
	added, removed := 0, 0
	for _, n := range notes {
		copied := l.set.all[n.name]
		l.set.remove(n.name)
		if n.move && copied != nil {
			l.pool.moved(n.name, l, copied.Following)
		}
		if n.follow == nil {
			removed++
			continue
		}
		place, err := n.follow.Begin()
		if err != nil {
			l.refused(n.name, err)
			continue
		}
		l.set.add(*n.follow, n.name, n.follow.Replica.Log().TopicID(), place)
		added++
	}
	if added+removed > 0 {
		l.log.Debugf("fetching %d more partitions, %d less, %d in all", added, removed, len(l.set.all))
	}
}
