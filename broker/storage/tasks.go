package storage

import (
	"errors"
	"time"
)

// schedule starts the periodic tasks.
func (m *Manager) schedule() {
	s, o := m.env.sched, &m.opts
	s.every(o.InitialTaskDelay+o.CheckpointInterval, o.CheckpointInterval, m.eachDir((*dir).checkpointRecoveryPoints))
	s.every(o.InitialTaskDelay+o.StartOffsetCheckpointInterval, o.StartOffsetCheckpointInterval, m.eachDir((*dir).checkpointStarts))
	s.every(o.HighWatermarkCheckpointInterval, o.HighWatermarkCheckpointInterval, m.CheckpointHighWatermarks)
	s.every(o.InitialTaskDelay, o.RetentionCheckInterval, m.checkRetention)
	s.every(o.ProducerExpiryCheckInterval, o.ProducerExpiryCheckInterval, m.expireProducers)
	if o.FlushCheckInterval < time.Duration(1<<62) {
		s.every(o.InitialTaskDelay+o.FlushCheckInterval, o.FlushCheckInterval, m.flushOld)
	}
}

// eachDir returns a task that does f with every directory that is online. Failures are logged where
// the directory goes offline.
func (m *Manager) eachDir(f func(*dir) error) func() {
	return func() {
		for _, d := range m.dirs {
			if !d.offline.Load() {
				_ = f(d)
			}
		}
	}
}

// CheckpointHighWatermarks writes every directory's replication-offset-checkpoint now; the Manager
// does so by itself every Options.HighWatermarkCheckpointInterval and at Close.
func (m *Manager) CheckpointHighWatermarks() { m.eachDir((*dir).checkpointHighWatermarks)() }

// checkRetention removes old segments, but for those of compacted logs: these are the cleaner's to remove, or, if there
// is none, stay (LogManager.cleanupLogs). A log whose policy was compact a moment ago may be at the cleaner still; then
// its turn comes with the next check.
func (m *Manager) checkRetention() {
	m.eachLog(func(l *Log) error {
		if l.config.Load().Compact {
			return nil
		}
		if !l.IsFuture() {
			if !m.env.states().tryPause(l.partition) {
				return nil
			}
			defer m.env.states().resume(l.partition)
		}
		_, err := l.deleteOldSegments(m.env.nowMs())
		return err
	})
}

func (m *Manager) expireProducers() {
	m.eachLog(func(l *Log) error {
		l.expireProducers(m.env.nowMs())
		return nil
	})
}

func (m *Manager) flushOld() {
	m.eachLog(func(l *Log) error { return l.flushIfOld(m.env.nowMs()) })
}

// eachLog does f with every log, future ones too. A log that is closed or offline by then is no news.
func (m *Manager) eachLog(f func(*Log) error) {
	for _, d := range m.dirs {
		for _, l := range d.snapshot() {
			err := f(l)
			if err != nil && !errors.Is(err, ErrStorage) && !errors.Is(err, ErrClosed) {
				l.logger().WithError(err).Error("Background task failed")
			}
		}
	}
}
