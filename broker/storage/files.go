package storage

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Beside its segments a log has two small files: partition.metadata and leader-epoch-checkpoint. To make
// them durable whenever they change would be the most expensive part of what a broker does for a new
// partition, and of a change of leaders. So what they say is kept in memory at first and
//
//   - written and made durable soon, for many logs together, once no more of them change (unsavedLogs),
//   - made durable before the recovery point of the log rises, and at a clean stop.
//
// What a crash takes before that can be told from what it leaves: the epochs of the records above the
// recovery point from their batches, which a recovery reads anyway, and the topic's id, while there is no record, by
// the controller, which repeats it. Records have to be known for those of a topic: once that is deleted and there is another
// of its name, which a broker may have been away for, they must not be taken for the new one's. So the id is written
// before the first of them, as Kafka does, if without making it durable: into partition.metadata.tmp, which takes its name
// once it is durable. Until a log has such files it is a directory, and not more than that until it has its first record.

// smallFiles is what a Log remembers of its files; mu guards it.
type smallFiles struct {
	idUnsaved      bool   // partition.metadata does not durably hold the topic's id
	changes, saved uint64 // of the leader epochs: all, and those that leader-epoch-checkpoint durably holds
	// trims counts how often the epochs' beginning followed the log's, and trimsSaved those that the checkpoint
	// shows. It need not: a load would trim it, too.
	trims, trimsSaved uint64
	queued            bool // the log is in env.unsaved
	unnamed           bool // the name of the first segment's file may not be durable
}

func (f *smallFiles) unsaved() bool { return f.idUnsaved || f.changes != f.saved }

// unsavedLogs are the logs whose small files are to be written.
type unsavedLogs struct {
	sched *scheduler
	flush *flusher

	firsts atomic.Int64 // first segments made: what takes its time, too, and is waited for

	mu    sync.Mutex
	logs  []*Log
	seen  int64 // logs and firsts when the task last ran
	waits int   // how often it has waited since
}

const (
	quietTime = time.Second // how long no log must have been added or begun before the files are written,
	mostWaits = 10          // unless that has been waited for so often
)

// add has l's files written before long.
func (u *unsavedLogs) add(l *Log) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.logs = append(u.logs, l)
	if len(u.logs) == 1 {
		u.seen, u.waits = u.firsts.Load()+1, 0
		u.sched.after(quietTime, u.saveIfQuiet)
	}
}

func (u *unsavedLogs) saveIfQuiet() {
	u.mu.Lock()
	now := u.firsts.Load() + int64(len(u.logs))
	wait := now != u.seen && u.waits < mostWaits
	u.seen = now
	u.waits++
	u.mu.Unlock()
	if wait {
		u.sched.after(quietTime, u.saveIfQuiet)
		return
	}
	u.flush.soon(u.save)
}

// save writes the files, on the flusher's goroutine.
func (u *unsavedLogs) save() {
	u.mu.Lock()
	logs := u.logs
	u.logs = nil
	u.mu.Unlock()
	byDir := map[*dir][]*Log{}
	for _, l := range logs {
		l.mu.Lock()
		l.mu.queued = false
		l.mu.Unlock()
		byDir[l.dir] = append(byDir[l.dir], l)
	}
	for d, logs := range byDir {
		_ = d.saveSmallFiles(logs) // a failure has taken the directory offline
	}
}

// saveSmallFiles makes the small files of logs durable, and gives a segment to those that have none. Only
// one call at a time may be for several logs: it holds filesMu of all of them. None may be named twice.
func (d *dir) saveSmallFiles(logs []*Log) error {
	var contents []vfs.Content
	var saves []saving
	var err error
	for _, l := range logs {
		l.filesMu.Lock()
		var s saving
		if s, contents, err = l.collect(contents); err != nil || s.log == nil {
			l.filesMu.Unlock()
			if err != nil {
				break
			}
			continue
		}
		saves = append(saves, s)
	}
	if err == nil && len(saves) > 0 {
		if err = vfs.WriteFiles(d.env.fs, contents); err != nil {
			err = d.fail(fmt.Errorf("write leader epochs and topic ids: %w", err))
		}
	}
	for _, s := range saves {
		s.log.filesMu.Unlock()
	}
	if err != nil {
		return err
	}
	for _, s := range saves {
		s.done()
	}
	return nil
}

// saving is what of a log is being made durable.
type saving struct {
	log     *Log
	changes uint64
	trims   uint64 // 0: the epochs are durable as they are
	id      bool
}

// collect adds to contents what the small files of the log are to hold; without anything to save the
// saving has no log. It requires filesMu.
func (l *Log) collect(contents []vfs.Content) (saving, []vfs.Content, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readable() != nil {
		return saving{}, contents, nil
	}
	if err := l.createFirstLocked(); err != nil {
		return saving{}, contents, err
	}
	if !l.mu.unsaved() {
		return saving{}, contents, nil
	}
	s := saving{log: l, changes: l.mu.changes, id: l.mu.idUnsaved}
	if s.id {
		contents = append(contents, vfs.Content{
			Path: l.file(checkpoint.PartitionMetadata), Data: checkpoint.AppendPartitionMetadata(nil, l.TopicID()),
		})
	}
	if l.mu.changes != l.mu.saved {
		s.trims = l.mu.trims
		contents = append(contents, vfs.Content{
			Path: l.file(checkpoint.LeaderEpochs), Data: checkpoint.AppendEpochs(nil, l.epochs.Entries()),
		})
	}
	return s, contents, nil
}

// done notes that what was to be saved is durable.
func (s *saving) done() {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.saved = max(l.mu.saved, s.changes)
	l.mu.idUnsaved = l.mu.idUnsaved && !s.id
	l.mu.trimsSaved = max(l.mu.trimsSaved, s.trims)
}

// saveFiles makes the small files durable, if they are not.
func (l *Log) saveFiles() error { return l.dir.saveSmallFiles([]*Log{l}) }

// trimmedLocked reports whether the checkpoint has what lies before the log. It requires mu.
func (l *Log) trimmedLocked() bool { return l.mu.trims != l.mu.trimsSaved }

// queueLocked has the small files written soon, if they are not durable. It requires mu.
func (l *Log) queueLocked() {
	if l.mu.unsaved() && !l.mu.queued {
		l.mu.queued = true
		l.env.unsaved.add(l)
	}
}

// createFirstLocked makes the first segment of a log that has none, and before that notes its topic's id. It requires mu.
func (l *Log) createFirstLocked() error {
	if len(*l.segments.Load()) > 0 {
		return nil
	}
	if l.mu.idUnsaved {
		if err := checkpoint.NotePartitionMetadata(l.env.fs, l.file(checkpoint.PartitionMetadata), l.TopicID()); err != nil {
			return l.failed("write the topic's id", err)
		}
	}
	s, err := l.createSegment(l.end.Load())
	if err != nil {
		return l.failed("create a segment", err)
	}
	l.segments.Store(&[]*segment.Segment{s})
	l.mu.unnamed = true
	l.env.unsaved.firsts.Add(1)
	return nil
}

// nameFirstLocked makes the name of the first segment durable, so that a crash cannot take it and leave a
// later one. It requires mu.
func (l *Log) nameFirstLocked() error {
	if !l.mu.unnamed {
		return nil
	}
	if err := l.files.Sync(); err != nil {
		return l.failed("sync the directory", err)
	}
	l.mu.unnamed = false
	return nil
}

// TopicID returns the id of the log's topic; the zero ID if it is not known.
func (l *Log) TopicID() topic.ID {
	if id := l.topicID.Load(); id != nil {
		return *id
	}
	return topic.ID{}
}

// SetTopicID gives the log its topic's id, which soon becomes partition.metadata. It returns
// ErrInconsistentTopicID if the log has another one.
func (l *Log) SetTopicID(id topic.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil || id.IsZero() {
		return err // a controller before KIP-516 knows none
	}
	if known := l.TopicID(); !known.IsZero() {
		if known == id {
			return nil
		}
		return fmt.Errorf("%w: log %s is of topic id %s, not %s", ErrInconsistentTopicID, l.partition, known, id)
	}
	l.topicID.Store(&id)
	l.mu.idUnsaved = true
	l.queueLocked()
	return nil
}
