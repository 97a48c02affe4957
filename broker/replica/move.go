package replica

import (
	"errors"
	"io"

	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Mover copies replicas into other log directories (KIP-113). Its methods do not wait for what is being
// copied, and may be called while a request of the controller is carried out.
type Mover interface {
	// Move begins to copy a replica that has a future log, unless it is being copied already.
	Move(p *Partition)
	// Forget ends the copying of a replica.
	Forget(p topic.Partition)
}

// AlterDir moves the replica of p to the log directory that an absolute path means; the one where it is ends
// a move that is under way. What is not here yet is remembered, and created there
// (ReplicaManager.alterReplicaLogDirs).
//
// Errors: ErrNameTooLong, storage.ErrUnknownDir, storage.ErrStorage, and for a replica that is not here
// ErrNotLeader or ErrUnknownPartition.
func (m *Manager) AlterDir(name topic.Partition, path string) error {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	if !storage.CanMove(name) {
		return ErrNameTooLong
	}
	dir, err := m.opts.Storage.FindDir(path)
	if err != nil {
		return err
	}
	p, err := m.Partition(name)
	if errors.Is(err, storage.ErrStorage) {
		return err
	}
	if future := m.opts.Storage.Future(name); future != nil && p != nil && future.Dir() != dir {
		if err := m.stopMoving(p); err != nil {
			return err
		}
	}
	if err := m.opts.Storage.Prefer(name, path); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	return m.startMoving(p, dir, path)
}

// startMoving makes the future log of p, which may have one there, and has it filled.
func (m *Manager) startMoving(p *Partition, dir, path string) error {
	if p.Log().Dir() == dir {
		return nil
	}
	if m.opts.Storage.Future(p.Partition) == nil {
		if _, err := m.opts.Storage.CreateFuture(p.Partition, path); err != nil {
			return err
		}
	}
	if m.opts.Mover != nil {
		m.opts.Mover.Move(p)
	}
	return nil
}

// stopMoving gives up the future log of p.
func (m *Manager) stopMoving(p *Partition) error {
	if m.opts.Mover != nil {
		m.opts.Mover.Forget(p.Partition)
	}
	p.mu.Lock() // keeps the future log from being promoted
	defer p.mu.Unlock()
	return m.opts.Storage.DeleteFuture(p.Partition)
}

// resumeMoves goes on with moves that were under way when the broker stopped.
func (m *Manager) resumeMoves(states []PartitionState) {
	if m.opts.Mover == nil || !m.opts.Storage.Moving() {
		return
	}
	for i := range states {
		if p := m.hosted(states[i].Partition); p != nil && m.opts.Storage.Future(p.Partition) != nil {
			m.opts.Mover.Move(p)
		}
	}
}

// DirFailed takes note that a log directory has failed: its replicas, which answer so by themselves, are not
// copied any more, neither from their leaders nor to another directory, and who waits for them is told.
func (m *Manager) DirFailed(dir string) {
	var failed []topic.Partition
	for _, p := range m.all() {
		future := m.opts.Storage.Future(p.Partition)
		current := p.Log().Dir() == dir
		if m.opts.Mover != nil && (current || future != nil && future.Dir() == dir) {
			m.opts.Mover.Forget(p.Partition)
		}
		if !current && future != nil && future.Dir() == dir {
			_ = m.opts.Storage.DeleteFuture(p.Partition) // only in memory: the directory is offline
		}
		if current {
			failed = append(failed, p.Partition)
		}
	}
	if m.opts.Followers != nil {
		m.opts.Followers.Unfollow(failed...)
	}
	for _, name := range failed {
		m.Appended(name)
	}
	m.opts.Logger.WithField("dir", dir).Warnf("Stopped serving %d replicas: their log directory has failed", len(failed))
}

// copyChunk is how many bytes are copied with the partition's lock held shared; a batch may be larger.
const copyChunk = 1 << 20

// CopyToFuture copies the next records into the future log, by way of buf, and reports how many bytes that
// were and whether the future log ends where the current one does. Truncations wait meanwhile.
//
// ErrNotMoving: there is no future log. Others: those of storage.Log's Read and AppendFollower.
func (p *Partition) CopyToFuture(buf *[]byte) (n int, caughtUp bool, err error) {
	done, err := p.copy(buf)
	if done.started {
		p.manager.Deletes.Check(p.Partition) // the low watermark may have waited for that
	}
	return done.bytes, done.caughtUp, err
}

// copied is what one step of copying has done.
type copied struct {
	bytes    int
	caughtUp bool // the future log ends where the current one did
	started  bool // its start was raised
}

func (p *Partition) copy(buf *[]byte) (copied, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	p.moving.Lock()
	defer p.moving.Unlock()
	return p.copyLocked(buf)
}

// copyLocked requires moving, and mu, shared at least.
func (p *Partition) copyLocked(buf *[]byte) (done copied, err error) {
	current, future := p.Log(), p.manager.opts.Storage.Future(p.Partition)
	if future == nil {
		return done, ErrNotMoving
	}
	if err := current.Err(); err != nil {
		return done, err
	}
	if err := align(current, future); err != nil {
		return done, err
	}
	end := current.EndOffset()
	if future.EndOffset() < end {
		if done.bytes, err = copyRecords(current, future, end, buf); err != nil {
			return done, err
		}
	}
	hw := future.SetHighWatermark(current.HighWatermark())
	if start := min(current.StartOffset(), hw); start > future.StartOffset() {
		if done.started, err = future.IncrementStartOffset(start); err != nil {
			return done, err
		}
	}
	done.caughtUp = future.EndOffset() == end
	return done, nil
}

// align cuts what a future log has and its current one has not, as a follower does with its leader, and
// begins anew if the current log starts behind its end, or has nothing in common with it.
func align(current, future *storage.Log) error {
	for {
		end, ok := diverges(current, future)
		if !ok {
			break
		}
		logEnd := future.EndOffset()
		epoch, _ := future.LatestEpoch()
		if err := future.TruncateTo(end); err != nil {
			return err
		}
		if latest, _ := future.LatestEpoch(); future.EndOffset() == logEnd && latest == epoch {
			return future.TruncateFullyAndStartAt(current.StartOffset())
		}
	}
	if start := current.StartOffset(); future.EndOffset() < start {
		return future.TruncateFullyAndStartAt(start)
	}
	return nil
}

// diverges returns where a future log has to be cut; false: it is a beginning of the current one.
func diverges(current, future *storage.Log) (int64, bool) {
	logEnd := future.EndOffset()
	epoch, ok := future.LatestEpoch()
	if !ok { // of an old format
		return current.EndOffset(), logEnd > current.EndOffset()
	}
	found, end, known := current.EpochEndOffset(epoch)
	if !known { // the current log has earlier epochs only, or none
		if found, known = current.LatestEpoch(); !known {
			return current.EndOffset(), logEnd > current.EndOffset()
		}
		end = current.EndOffset()
	}
	if found == epoch && end >= logEnd {
		return 0, false
	}
	own, ownEnd, known := future.EpochEndOffset(found)
	if !known {
		own, ownEnd = -1, -1
	}
	return truncation(found, end, own, ownEnd, logEnd)
}

// copyRecords copies whole batches from where future ends, about a chunk of them.
func copyRecords(current, future *storage.Log, end int64, buf *[]byte) (int, error) {
	chunk := min(copyChunk, future.Config().SegmentBytes) // one append must fit into a segment
	r, err := current.Read(future.EndOffset(), chunk, end, true)
	if err != nil {
		return 0, err
	}
	if r.Section == nil {
		return 0, nil
	}
	defer r.Section.Release()
	size := int(r.Section.Size())
	if cap(*buf) < size {
		*buf = make([]byte, max(size, copyChunk))
	}
	data := (*buf)[:size]
	if _, err := r.Section.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if cap(*buf) > 4*copyChunk {
		*buf = nil // grown by one large batch
	}
	done, err := future.AppendFollower(data)
	return done.Bytes, err
}

// Promote puts the future log in the place of the current one, if the rest can be copied in one go; otherwise
// it returns false. Appends and reads wait for the last step of that.
//
// Errors: those of CopyToFuture and of storage.Manager.Promote.
func (p *Partition) Promote(buf *[]byte) (bool, error) {
	done, err := p.prepareAndPromote(buf)
	if done {
		p.manager.Appended(p.Partition)
	}
	return done, err
}

func (p *Partition) prepareAndPromote(buf *[]byte) (bool, error) {
	p.promoting.Lock() // a move that was ended may be here still when the next one comes
	defer p.promoting.Unlock()
	prepared := p.manager.opts.Storage.Future(p.Partition)
	if err := p.manager.opts.Storage.PreparePromotion(p.Partition); err != nil {
		return false, err
	}
	for range 64 { // what has come meanwhile
		if step, err := p.copy(buf); err != nil {
			return false, err
		} else if step.caughtUp {
			break
		}
	}
	return p.promote(prepared, buf)
}

// promote promotes prepared. If the move was ended meanwhile and another one has begun, that has a future log that
// is not prepared, and false is returned.
func (p *Partition) promote(prepared *storage.Log, buf *[]byte) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moving.Lock()
	defer p.moving.Unlock()
	future := p.manager.opts.Storage.Future(p.Partition)
	switch {
	case future == nil:
		return false, ErrNotMoving
	case future != prepared:
		return false, nil
	}
	current := p.Log()
	if left := current.Available(future.EndOffset(), current.EndOffset()); left > copyChunk {
		return false, nil
	}
	for range 4 {
		step, err := p.copyLocked(buf)
		if err != nil {
			return false, err
		}
		if step.caughtUp {
			log, err := p.manager.opts.Storage.Promote(p.Partition)
			if err != nil {
				return false, err
			}
			p.log.Store(log)
			return true, nil
		}
	}
	return false, nil
}

// truncateTo cuts the log, and the copy of it that is being made. It requires mu, shared at least.
func (p *Partition) truncateTo(offset int64) error {
	p.moving.Lock()
	defer p.moving.Unlock()
	err := p.Log().TruncateTo(offset)
	if future := p.manager.opts.Storage.Future(p.Partition); err == nil && future != nil && future.EndOffset() > offset {
		_ = future.TruncateTo(offset) // or its directory is offline now
	}
	return err
}

// truncateFullyAndStartAt empties the log, and the copy of it that is being made. It requires mu, shared at least.
func (p *Partition) truncateFullyAndStartAt(offset int64) error {
	p.moving.Lock()
	defer p.moving.Unlock()
	err := p.Log().TruncateFullyAndStartAt(offset)
	if future := p.manager.opts.Storage.Future(p.Partition); err == nil && future != nil {
		_ = future.TruncateFullyAndStartAt(offset) // or its directory is offline now
	}
	return err
}
