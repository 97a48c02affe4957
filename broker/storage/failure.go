package storage

import (
	"path/filepath"
	"sync"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// hooks are what follows a failure of a directory, the calls of OnDirFailure and OnAllDirsFailed above all. They are
// made in order, one at a time.
type hooks struct {
	sync.Mutex
	queue   []func()
	running sync.WaitGroup // at most one goroutine, while there is a call to make
	busy    bool
	closed  bool // no call may be added any more
}

// FailDir takes a directory offline as an I/O error in it would.
func (m *Manager) FailDir(path string, cause error) {
	for _, d := range m.dirs {
		if d.path == filepath.Clean(path) {
			_ = d.fail(cause) // logged there
		}
	}
}

// dirFailed has the hooks called, on a goroutine of their own because locks may be held here.
func (m *Manager) dirFailed(d *dir, err error) {
	all := m.anyOnline() != nil
	m.hooks.Lock()
	defer m.hooks.Unlock()
	if m.hooks.closed {
		return
	}
	if m.opts.OnDirFailure != nil {
		m.hooks.queue = append(m.hooks.queue, func() { m.opts.OnDirFailure(d.path, err) })
	}
	if all && m.opts.OnAllDirsFailed != nil {
		m.hooks.queue = append(m.hooks.queue, func() { m.opts.OnAllDirsFailed(err) })
	}
	m.hooks.queue = append(m.hooks.queue, d.closeFiles) // last: it waits for who is at the disk, and that may hang
	if !m.hooks.busy {
		m.hooks.busy = true
		m.hooks.running.Go(m.callHooks)
	}
}

// closeFiles closes the files of the directory's segments and unlocks it, so that its disk can be unmounted
// (LogManager.handleLogDirFailure). Who is at one keeps it until then.
func (d *dir) closeFiles() {
	d.env.files.Evict(func(o vfs.Opener) bool {
		s, ok := o.(*segment.Segment)
		return ok && filepath.Dir(s.Dir().Path()) == d.path
	})
	_ = d.unlock() // what there was to tell of the disk has been told
}

// callHooks makes the calls that are queued.
func (m *Manager) callHooks() {
	for {
		m.hooks.Lock()
		if len(m.hooks.queue) == 0 {
			m.hooks.busy = false
			m.hooks.Unlock()
			return
		}
		call := m.hooks.queue[0]
		m.hooks.queue = m.hooks.queue[1:]
		m.hooks.Unlock()
		call()
	}
}

// stopHooks returns when no hook is running, and none will.
func (m *Manager) stopHooks() {
	m.hooks.Lock()
	m.hooks.closed = true
	m.hooks.Unlock()
	m.hooks.running.Wait()
}
