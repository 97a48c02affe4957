package storage

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// CreateOptions go with Manager.Create.
type CreateOptions struct {
	// New: the controller says that this replica never existed here (LeaderAndIsr's isNew). Otherwise
	// nothing is created while a directory is offline, since the replica may be on that one.
	New     bool
	TopicID topic.ID   // zero: the controller gave none
	Config  *LogConfig // nil: Options.TopicConfig's
	Dir     string     // preferred directory, if it is online; "": the one with the fewest replicas
}

// Create makes an empty log for p, whose high watermark and offsets are 0. It returns ErrExists if
// there is one, ErrStorage if no directory can take it or if it may exist in one that is offline.
func (m *Manager) Create(p topic.Partition, o CreateOptions) (*Log, error) {
	if err := m.reserve(p); err != nil {
		return nil, err
	}
	defer m.unreserve(p)
	config := o.Config
	if config == nil {
		c := m.opts.TopicConfig(p.Topic)
		config = &c
	}
	if o.Dir == "" {
		o.Dir = m.preferredDir(p)
	}
	for {
		d, err := m.place(o)
		if err != nil {
			return nil, fmt.Errorf("create log for partition %s: %w", p, err)
		}
		if err := m.forgetElsewhere(d, p); err != nil {
			d.reserve(-1)
			return nil, fmt.Errorf("create log for partition %s: %w", p, err)
		}
		l, err := m.createIn(d, p, config, o.TopicID)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, ErrStorage) {
			return nil, err
		}
	}
}

// forgetElsewhere makes durable that p was deleted in directories other than d.
func (m *Manager) forgetElsewhere(d *dir, p topic.Partition) error {
	for _, other := range m.dirs {
		if other == d {
			continue
		}
		if err := other.forget(p); err != nil {
			return err
		}
	}
	return nil
}

// createIn makes the log in d, which place has chosen. A failure of the file system takes d offline.
func (m *Manager) createIn(d *dir, p topic.Partition, c *LogConfig, id topic.ID) (*Log, error) {
	l, err := d.createLog(p, *c)
	if err != nil {
		d.reserve(-1)
		return nil, d.fail(fmt.Errorf("create log for partition %s: %w", p, err))
	}
	if err := l.SetTopicID(id); err != nil {
		d.reserve(-1)
		l.abandon()
		return nil, err
	}
	m.publish(l)
	l.logger().Debug("Created log")
	return l, nil
}

// preferredDir returns where Prefer wants p, and forgets it; "": anywhere.
func (m *Manager) preferredDir(p topic.Partition) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := m.mu.preferred[p]
	delete(m.mu.preferred, p)
	return path
}

// reserve keeps others from creating p, or says why it cannot be.
func (m *Manager) reserve(p topic.Partition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.mu.closed:
		return ErrClosed
	case m.mu.creating[p] || m.mu.logs[p] != nil:
		return fmt.Errorf("%w: %s", ErrExists, p)
	}
	m.mu.creating[p] = true
	return nil
}

func (m *Manager) unreserve(p topic.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.creating, p)
}

// place chooses the directory for a new log, the preferred one or that with the fewest, and counts the
// log there at once, so that logs created at the same time are spread too.
func (m *Manager) place(o CreateOptions) (*dir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	offline := func(d *dir) bool { return d.offline.Load() }
	if !o.New && slices.ContainsFunc(m.dirs, offline) {
		return nil, fmt.Errorf("%w: the replica may be on a log directory that is offline", ErrStorage)
	}
	var best *dir
	for _, d := range m.dirs {
		if offline(d) {
			continue
		}
		if o.Dir != "" && d.path == filepath.Clean(o.Dir) {
			best = d
			break
		}
		if best == nil || d.size() < best.size() {
			best = d
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: none is left", ErrStorage)
	}
	best.reserve(1)
	return best, nil
}

// createLog makes an empty log.
func (d *dir) createLog(p topic.Partition, c LogConfig) (*Log, error) {
	if err := d.correct(p, 0, 0, 0, -1); err != nil {
		return nil, err
	}
	path := filepath.Join(d.path, p.String())
	exists, err := vfs.Exists(d.env.fs, path)
	if err != nil {
		return nil, err
	}
	if exists { // put there while the broker was running: take it as it is, but trust nothing
		return d.loadLog(p, p.String(), c)
	}
	if err := d.env.fs.MkdirAll(path); err != nil {
		return nil, err
	}
	l := d.newLog(p, path, c)
	d.created.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.changes++ // there is no file yet
	l.queueLocked()
	return l, nil
}

// newLog returns a log without segments, for the directory at path.
func (d *dir) newLog(p topic.Partition, path string, c LogConfig) *Log {
	l := &Log{partition: p, env: d.env, dir: d, files: segment.NewDir(d.env.fs, path, &d.offline), epochs: new(epoch.Cache)}
	l.SetConfig(c)
	l.firstUnstable.Store(math.MaxInt64)
	l.lastFlush.Store(d.env.nowMs())
	l.cleaned.Store(-1)
	l.segments.Store(&[]*segment.Segment{})
	l.mu.producers = producer.New(p.String())
	l.drawJitterLocked()
	return l
}
