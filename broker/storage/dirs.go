package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Dirs describes the log directories in the order of Options.Dirs.
func (m *Manager) Dirs() []DirInfo {
	infos := make([]DirInfo, len(m.dirs))
	for i, d := range m.dirs {
		infos[i] = DirInfo{Path: d.path, Absolute: d.absolute(), Offline: d.offline.Load(), Logs: d.size(), Total: -1, Usable: -1}
		if infos[i].Offline {
			continue
		}
		if usage, err := m.env.fs.DiskUsage(d.path); err == nil {
			infos[i].Total, infos[i].Usable = usage.Total, usage.Usable
		}
	}
	return infos
}

// LogsIn returns the logs in a directory of Options.Dirs, future ones too, in no order.
func (m *Manager) LogsIn(path string) []*Log {
	for _, d := range m.dirs {
		if d.path == filepath.Clean(path) {
			return d.snapshot()
		}
	}
	return nil
}

// FindDir returns the log directory that an absolute path means, as Options.Dirs names it. Errors:
// ErrUnknownDir, ErrStorage if it is offline.
func (m *Manager) FindDir(path string) (string, error) {
	d, err := m.findDir(path)
	if err != nil {
		return "", err
	}
	return d.path, nil
}

func (m *Manager) findDir(path string) (*dir, error) {
	i := slices.IndexFunc(m.dirs, func(d *dir) bool { return d.absolute() == path })
	switch {
	case i < 0:
		return nil, fmt.Errorf("%w: %s", ErrUnknownDir, path)
	case m.dirs[i].offline.Load():
		return nil, fmt.Errorf("%w: %s", ErrStorage, path)
	}
	return m.dirs[i], nil
}

// absolute returns the directory's path as it is shown outside.
func (d *dir) absolute() string {
	path, err := filepath.Abs(d.path)
	if err != nil { // the working directory is gone
		return d.path
	}
	return path
}

// Prefer has the log of p, once it is created, made in the directory that path means, unless p has a log
// or a future log there. Errors: ErrUnknownDir, ErrStorage.
func (m *Manager) Prefer(p topic.Partition, path string) error {
	d, err := m.findDir(path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range []*Log{m.mu.logs[p], m.mu.futures[p]} {
		if l != nil && l.dir == d {
			return nil
		}
	}
	m.mu.preferred[p] = d.path
	return nil
}

func (m *Manager) anyOffline() bool {
	return slices.ContainsFunc(m.dirs, func(d *dir) bool { return d.offline.Load() })
}

// anyOnline returns an error if no directory is left.
func (m *Manager) anyOnline() error {
	var errs error
	for _, d := range m.dirs {
		if !d.offline.Load() {
			return nil
		}
		errs = errors.Join(errs, d.failure())
	}
	return fmt.Errorf("%w: none of the specified log dirs from %v can be created or validated: %w", ErrStorage, m.opts.Dirs, errs)
}
