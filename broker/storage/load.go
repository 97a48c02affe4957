package storage

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// progressInterval is how often the progress of loading is logged.
const progressInterval = 5 * time.Second

// load loads every log of every directory that is online, num.recovery.threads.per.data.dir at a time
// in each.
func (m *Manager) load() error {
	start := time.Now()
	var live, futures []found
	for _, d := range m.dirs {
		if d.offline.Load() {
			continue
		}
		l, f, err := m.listDir(d)
		if err != nil {
			return err
		}
		live, futures = append(live, l...), append(futures, f...)
	}
	live, futures, err := m.settleReplicas(live, futures)
	if err != nil {
		return err
	}
	byDir := map[*dir][]found{}
	for _, f := range append(live, futures...) {
		byDir[f.dir] = append(byDir[f.dir], f)
	}
	var wg sync.WaitGroup
	for _, d := range m.dirs {
		if !d.offline.Load() {
			wg.Go(func() { m.loadDir(d, byDir[d]) })
		}
	}
	wg.Wait()
	if err := m.anyOnline(); err != nil {
		return err
	}
	m.opts.Logger.WithField("logs", len(m.mu.logs)).WithField("took", time.Since(start)).Info("Loaded logs")
	return nil
}

// listDir returns the live and the future replicas in d, and has those whose deletion is pending removed.
func (m *Manager) listDir(d *dir) (live, futures []found, err error) {
	entries, err := m.env.fs.ReadDir(d.path)
	if err != nil {
		_ = d.fail(fmt.Errorf("list the directory: %w", err)) // logged there
		return nil, nil, nil
	}
	for _, e := range entries {
		if !e.Dir || ignoredDir(e.Name) {
			continue
		}
		p, kind, err := parseDirName(e.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", d.path, err)
		}
		f := found{Partition: p, dir: d, name: e.Name}
		switch kind {
		case dirLive:
			if f.rank, err = readMark(m.env.fs, filepath.Join(d.path, e.Name, promotionMark)); err != nil {
				_ = d.fail(fmt.Errorf("look for a mark: %w", err)) // logged there
				return nil, nil, nil
			}
			live = append(live, f)
		case dirDelete:
			m.removeLater(d, filepath.Join(d.path, e.Name), m.opts.Defaults.FileDeleteDelayMs)
		case dirFuture:
			futures = append(futures, f)
		case dirStray:
			d.logger.WithField("name", e.Name).Warn("Leaving a replica's directory alone that is not in use")
		}
	}
	return live, futures, nil
}

// loadDir loads replicas. A log that cannot be loaded takes the directory offline.
func (m *Manager) loadDir(d *dir, replicas []found) {
	start := time.Now()
	how := "recovering the logs: the last stop was not clean"
	if d.clean {
		how = "the last stop was clean"
	}
	d.logger.WithField("logs", len(replicas)).Infof("Loading logs; %s", how)
	var done atomic.Int64
	stop := reportProgress(d.logger, &done, len(replicas))
	defer stop()
	inParallel(m.loadThreads(d), replicas, func(f found) {
		if d.offline.Load() {
			return
		}
		l, err := d.loadLog(f.Partition, f.name, m.opts.TopicConfig(f.Topic))
		if err != nil {
			_ = d.fail(fmt.Errorf("load log %s: %w", f.Partition, err)) // logged there
			return
		}
		d.reserve(1)
		m.publish(l)
		done.Add(1)
	})
	d.loaded = !d.offline.Load()
	for _, f := range []*checkpointFile{&d.recovery, &d.watermarks} {
		if d.loaded && d.beyondEnd(f) {
			_ = d.checkpoint(f) // logged there
		}
	}
	if d.loaded && d.startsWrong.Load() {
		_ = d.checkpointStarts() // logged there
	}
	if d.loaded && d.cleanedDiffers() {
		_ = d.checkpointCleaned() // logged there
	}
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

// publish makes l the log, or the future log, of its partition.
func (m *Manager) publish(l *Log) {
	l.dir.add(l)
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.IsFuture() {
		m.mu.futures[l.partition] = l
		return
	}
	m.mu.logs[l.partition] = l
}
