package storage

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/sirupsen/logrus"
)

// progressInterval is how often the progress of loading is logged.
const progressInterval = 5 * time.Second

// load loads every log of every directory that is online, num.recovery.threads.per.data.dir at a time
// in each.
func (m *Manager) load() error {
	start := time.Now()
	found := make([][]topic.Partition, len(m.dirs))
	for i, d := range m.dirs {
		if d.offline.Load() {
			continue
		}
		var err error
		if found[i], err = m.listDir(d); err != nil {
			return err
		}
	}
	if err := checkDuplicates(m.dirs, found); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i, d := range m.dirs {
		if !d.offline.Load() {
			wg.Go(func() { m.loadDir(d, found[i]) })
		}
	}
	wg.Wait()
	if err := m.anyOnline(); err != nil {
		return err
	}
	m.opts.Logger.WithField("logs", len(m.mu.logs)).WithField("took", time.Since(start)).Info("Loaded logs")
	return nil
}

// listDir returns the partitions with a live replica in d, and has those whose deletion is pending
// removed.
func (m *Manager) listDir(d *dir) ([]topic.Partition, error) {
	entries, err := m.env.fs.ReadDir(d.path)
	if err != nil {
		_ = d.fail(fmt.Errorf("list the directory: %w", err)) // logged there
		return nil, nil
	}
	var live []topic.Partition
	for _, e := range entries {
		if !e.Dir || ignoredDir(e.Name) {
			continue
		}
		p, kind, err := parseDirName(e.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.path, err)
		}
		switch kind {
		case dirLive:
			live = append(live, p)
		case dirDelete:
			m.removeLater(d, filepath.Join(d.path, e.Name), m.opts.Defaults.FileDeleteDelayMs)
		case dirFuture, dirStray:
			d.logger.WithField("name", e.Name).Warn("Leaving a replica's directory alone that is not in use")
		}
	}
	return live, nil
}

// checkDuplicates refuses a partition with a live replica in two directories: which one holds the
// truth cannot be known.
func checkDuplicates(dirs []*dir, found [][]topic.Partition) error {
	seen := map[topic.Partition]string{}
	for i, partitions := range found {
		for _, p := range partitions {
			if other, ok := seen[p]; ok {
				return fmt.Errorf("duplicate log directories found: %s, %s",
					filepath.Join(other, p.String()), filepath.Join(dirs[i].path, p.String()))
			}
			seen[p] = dirs[i].path
		}
	}
	return nil
}

// loadDir loads the logs of partitions. A log that cannot be loaded takes the directory offline.
func (m *Manager) loadDir(d *dir, partitions []topic.Partition) {
	start := time.Now()
	how := "recovering the logs: the last stop was not clean"
	if d.clean {
		how = "the last stop was clean"
	}
	d.logger.WithField("logs", len(partitions)).Infof("Loading logs; %s", how)
	var done atomic.Int64
	stop := reportProgress(d.logger, &done, len(partitions))
	defer stop()
	inParallel(m.loadThreads(d), partitions, func(p topic.Partition) {
		if d.offline.Load() {
			return
		}
		l, err := d.loadLog(p, m.opts.TopicConfig(p.Topic))
		if err != nil {
			_ = d.fail(fmt.Errorf("load log %s: %w", p, err)) // logged there
			return
		}
		d.reserve(1)
		m.publish(l)
		done.Add(1)
	})
	d.loaded = !d.offline.Load()
	d.logger.WithFields(logrus.Fields{"logs": done.Load(), "took": time.Since(start)}).Info("Loaded log directory")
}

// loadThreads returns how many logs of d are loaded at a time: at least what is configured. Kafka's
// default of 1 was meant for disks that seek; it takes 2 from 4.0 on (KIP-1030). After a clean stop
// loading is a few small reads for each log, and waits for the processor rather than the disk.
func (m *Manager) loadThreads(d *dir) int {
	least := 2
	if d.clean {
		least = 4
	}
	return max(m.opts.RecoveryThreads, min(least, runtime.GOMAXPROCS(0)))
}

// inParallel calls f with every item, on threads goroutines.
func inParallel[T any](threads int, items []T, f func(T)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(threads, len(items)) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(items)) {
					return
				}
				f(items[i])
			}
		})
	}
	wg.Wait()
}

// reportProgress logs how many logs of total are done, until the function that it returns is called.
func reportProgress(logger logrus.FieldLogger, done *atomic.Int64, total int) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				logger.Infof("Loaded %d of %d logs so far", done.Load(), total)
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}

// publish makes l the log of its partition.
func (m *Manager) publish(l *Log) {
	l.dir.add(l)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.logs[l.partition] = l
}
