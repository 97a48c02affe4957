package storage

import (
	"fmt"
	"path/filepath"

	"github.com/gregor-mq/gregor/broker/topic"
)

// found is what listDir has found of one replica.
type found struct {
	topic.Partition
	dir  *dir
	name string // of its directory
	rank rank   // among live ones
}

// settleReplicas decides between several directories for one partition: of live ones the one with the higher
// rank stays, of future ones any, and none beside the live one. What goes is deleted later.
func (m *Manager) settleReplicas(live, futures []found) ([]found, []found, error) {
	byName := map[topic.Partition]int{} // index in kept
	var kept []found
	for _, f := range live {
		i, twice := byName[f.Partition]
		switch {
		case !twice:
			byName[f.Partition] = len(kept)
			kept = append(kept, f)
			continue
		case f.rank == kept[i].rank:
			return nil, nil, fmt.Errorf("duplicate log directories found: %s, %s",
				filepath.Join(kept[i].dir.path, kept[i].name), filepath.Join(f.dir.path, f.name))
		case f.rank > kept[i].rank:
			f, kept[i] = kept[i], f
		}
		m.discard(f)
	}
	seen := map[topic.Partition]bool{}
	var copies []found
	for _, f := range futures {
		i, hasLive := byName[f.Partition]
		if seen[f.Partition] || hasLive && kept[i].dir == f.dir {
			m.discard(f)
			continue
		}
		seen[f.Partition] = true
		copies = append(copies, f)
	}
	m.removeMarks(kept)
	return kept, copies, nil
}

// discard has a replica's directory deleted, and the name durable that says so.
func (m *Manager) discard(f found) {
	f.dir.logger.WithField("name", f.name).Warn("Deleting a replica whose place another one has taken")
	to := filepath.Join(f.dir.path, deleteDirName(f.Partition))
	err := m.env.fs.Rename(filepath.Join(f.dir.path, f.name), to)
	if err == nil {
		err = m.env.fs.SyncDir(f.dir.path)
	}
	if err != nil {
		_ = f.dir.fail(fmt.Errorf("rename for deletion: %w", err)) // logged there
		return
	}
	m.removeLater(f.dir, to, m.opts.Defaults.FileDeleteDelayMs)
}

// removeMarks removes the marks of promotions once nothing is left for them to decide.
func (m *Manager) removeMarks(live []found) {
	if m.anyOffline() {
		return
	}
	for _, f := range live {
		if f.rank == unmarked {
			continue
		}
		path := filepath.Join(f.dir.path, f.name)
		err := m.env.fs.Remove(filepath.Join(path, promotionMark))
		if err == nil {
			err = m.env.fs.SyncDir(path)
		}
		if err != nil {
			_ = f.dir.fail(fmt.Errorf("remove a mark: %w", err)) // logged there
		}
	}
}
