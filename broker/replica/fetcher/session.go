package fetcher

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// sessionKey names a partition within a session: by id from version 13 on, by name before.
type sessionKey struct {
	id    topic.ID
	name  string
	index int32
}

func (s *set) key(p *partition) sessionKey {
	if s.usesIDs {
		return sessionKey{id: p.id, index: p.name.Index}
	}
	return sessionKey{name: p.name.Topic, index: p.name.Index}
}

// next returns the next request, valid until the next call, or nil if nothing is to be fetched before wait
// has passed; negative: before a change. What identifies the replica is left to the caller.
func (s *set) next(now time.Time) (req *wire.FetchRequest, wait time.Duration) {
	wait = s.wake(now)
	if len(s.all) == len(s.waiting) {
		return nil, wait
	}
	if usesIDs := s.noIDs == 0; s.usesIDs != usesIDs {
		s.usesIDs = usesIDs
		s.restart()
	}
	req = &s.request
	*req = wire.FetchRequest{
		Version: versionOfNames, MaxWait: int32(s.limits.maxWait.Milliseconds()),
		MinBytes: s.limits.minBytes, MaxBytes: s.limits.maxBytes,
		SessionID: s.sessionID, SessionEpoch: s.sessionEpoch, Topics: req.Topics[:0],
	}
	if s.usesIDs {
		req.Version = versionOfIDs
	}
	if wait >= 0 {
		req.MaxWait = min(req.MaxWait, int32((wait + time.Millisecond - 1).Milliseconds()))
	}
	if s.sessionEpoch == 0 {
		s.collectAll()
		clear(s.gone)
	}
	s.tell()
	req.Forgotten = s.forgotten()
	return req, 0
}

// collectAll makes every partition dirty that does not wait, for a request that begins a session. They are
// ordered by topic; which topic comes first is left to chance, since a leader whose answer is full has
// served the first ones.
func (s *set) collectAll() {
	s.dirty = s.dirty[:0]
	for _, p := range s.all {
		p.told, p.dirty = false, !p.waiting
		if p.dirty {
			s.dirty = append(s.dirty, p)
		}
	}
	slices.SortFunc(s.dirty, func(a, b *partition) int {
		return cmp.Or(cmp.Compare(a.name.Topic, b.name.Topic), cmp.Compare(a.name.Index, b.name.Index))
	})
	if len(s.dirty) == 0 {
		return
	}
	pivot := s.dirty[rand.IntN(len(s.dirty))].name.Topic
	at, _ := slices.BinarySearchFunc(s.dirty, pivot, func(p *partition, name string) int { return cmp.Compare(p.name.Topic, name) })
	s.dirty = slices.Concat(s.dirty[at:], s.dirty[:at])
}

// tell writes the dirty partitions into the request.
func (s *set) tell() {
	s.parts = slices.Grow(s.parts[:0], len(s.dirty)) // so that it does not move below
	req := &s.request
	for _, p := range s.dirty {
		s.parts = append(s.parts, wire.FetchPartition{
			Index: p.name.Index, LeaderEpoch: p.LeaderEpoch, FetchOffset: p.place.Offset,
			LastFetchedEpoch: p.place.LastEpoch, LogStartOffset: p.place.LogStart, MaxBytes: s.limits.partitionMaxBytes,
		})
		p.dirty, p.told, p.toldAs = false, true, p.place
		delete(s.gone, s.key(p))
		last := len(req.Topics) - 1
		if last < 0 || req.Topics[last].Name != p.name.Topic || req.Topics[last].ID != p.id {
			req.Topics = append(req.Topics, wire.FetchTopic{Name: p.name.Topic, ID: p.id})
			last++
		}
		t, end := &req.Topics[last], len(s.parts)
		t.Partitions = s.parts[end-1-len(t.Partitions) : end : end]
	}
	clear(s.dirty)
	s.dirty = s.dirty[:0]
}

// forgotten returns what is gone, as a request has it, and forgets it.
func (s *set) forgotten() []wire.ForgottenTopic {
	var topics []wire.ForgottenTopic
	for key := range s.gone {
		at := slices.IndexFunc(topics, func(t wire.ForgottenTopic) bool { return t.ID == key.id && t.Name == key.name })
		if at < 0 {
			at = len(topics)
			topics = append(topics, wire.ForgottenTopic{ID: key.id, Name: key.name})
		}
		topics[at].Partitions = append(topics[at].Partitions, key.index)
	}
	clear(s.gone)
	return topics
}

// answered takes the session id of an answer without an error: 0 if there is no session.
func (s *set) answered(sessionID int32) {
	if sessionID == 0 {
		s.sessionID, s.sessionEpoch = 0, 0
		return
	}
	s.sessionID = sessionID
	if s.sessionEpoch++; s.sessionEpoch < 0 {
		s.sessionEpoch = 1
	}
}

// restart begins a new session with the next request, in place of the one that was, if the leader still has it.
func (s *set) restart() { s.sessionEpoch = 0 }

// lost is restart after the leader has said that it does not know the session.
func (s *set) lost() { s.sessionID, s.sessionEpoch = 0, 0 }

// find returns the partition of an answer, nil if it was not asked for.
func (s *set) find(a *wire.FetchedFrom) *partition {
	var p *partition
	if s.usesIDs {
		p = s.byID[sessionKey{id: a.ID, index: a.Index}]
	} else {
		p = s.all[topic.Partition{Topic: string(a.Name), Index: a.Index}]
	}
	if p == nil || !p.told {
		return nil
	}
	return p
}
