package group

import (
	"cmp"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
)

// stored is a committed offset with the place of its record.
type stored struct {
	Offset
	batch int64 // base offset of the batch that its record is in
}

// commit is a Commit whose records are being appended.
type commit struct {
	from    Caller
	offsets []PartitionOffset // those that are written, without partitions that were deleted meanwhile
	codes   []int16           // of all of the request's; those that are written have 0
	txn     *Txn
}

// Commit handles an OffsetCommit; all its offsets go into one batch.
func (g *Group) Commit(c *Commit, from Caller, now time.Time) {
	codes := make([]int16, len(c.Offsets))
	if err := g.checkCommit(c); err != nil {
		for i := range codes {
			codes[i] = err.Code
		}
		g.fx.Commits = append(g.fx.Commits, CommitAnswer{from, codes})
		return
	}
	if m := g.members[c.MemberID]; m != nil && g.state != Empty && c.Txn == nil {
		g.heard(m, now)
	}
	work := &commit{from: from, offsets: c.Offsets[:0], codes: codes, txn: c.Txn}
	for i := range c.Offsets {
		if tooLong(c.Offsets[i].Metadata, g.config.MaxMetadata) {
			codes[i] = kerr.OffsetMetadataTooLarge.Code
			continue
		}
		work.offsets = append(work.offsets, c.Offsets[i])
	}
	if len(work.offsets) == 0 {
		g.fx.Commits = append(g.fx.Commits, CommitAnswer{from, codes})
		return
	}
	if c.Txn != nil {
		g.txns.begin(c.Txn.ProducerID)
	}
	g.committing = append(g.committing, work)
	g.fx.Appends = append(g.fx.Appends, Append{
		Ticket: g.issue(ticket{commit: work}), Records: offsetRecords(g.ID, work.offsets), Commit: true, Txn: c.Txn,
	})
}

// tooLong counts as Java does, in UTF-16 units.
func tooLong(s string, limit int) bool {
	if len(s) <= limit {
		return false
	}
	units := 0
	for _, r := range s {
		if units++; r > 0xffff {
			units++
		}
	}
	return units > limit
}

// checkCommit returns why the offsets are not taken. A consumer that manages its partitions itself commits
// without an identity, as long as the group has no members; the producers of before KIP-447 know of none at all.
func (g *Group) checkCommit(c *Commit) *kerr.Error {
	switch {
	case g.state == Dead:
		return kerr.CoordinatorNotAvailable
	case c.Generation < 0 && g.state == Empty:
		return nil
	case c.Generation < 0 && c.MemberID == "" && c.InstanceID == nil:
		if c.Txn != nil {
			return nil
		}
		return kerr.UnknownMemberID
	}
	if err := g.check(c.Identity); err != nil {
		return err
	}
	switch {
	case c.Generation != g.generation:
		return kerr.IllegalGeneration
	case g.state == CompletingRebalance && c.Txn == nil:
		return kerr.RebalanceInProgress
	}
	return nil
}

// committed makes offsets count, now that their records are written, and answers. Of two commits that were
// under way together the one whose record is later in the log wins, as it would after a reload. That holds
// also if the later one fails first, where Kafka forgets the earlier one.
func (g *Group) committed(c *commit, base int64, code int16) {
	g.committing = slices.DeleteFunc(g.committing, func(o *commit) bool { return o == c })
	for i := range c.offsets {
		o := &c.offsets[i]
		switch {
		case g.state == Dead:
		case c.txn != nil && base >= 0:
			g.pend(c.txn.ProducerID, o.Partition, stored{o.Offset, base})
		case c.txn == nil && code == 0:
			g.take(o.Partition, stored{o.Offset, base})
		}
	}
	if c.txn != nil {
		g.txns.end(c.txn.ProducerID)
	}
	if code = CommitCode(code); code != 0 {
		for i := range c.codes {
			if c.codes[i] == 0 {
				c.codes[i] = code
			}
		}
	}
	g.fx.Commits = append(g.fx.Commits, CommitAnswer{c.from, c.codes})
}

// take makes an offset count, unless there is a newer one.
func (g *Group) take(p topic.Partition, o stored) {
	if had, ok := g.offsets[p]; !ok || had.batch < o.batch {
		g.offsets[p] = o
	}
}

// CommitCode turns the error of an append of offsets into what the client is told
// (GroupMetadataManager.maybeConvertOffsetCommitError).
func CommitCode(code int16) int16 {
	switch code {
	case kerr.NetworkException.Code:
		return kerr.CoordinatorLoadInProgress.Code
	case kerr.UnknownTopicOrPartition.Code, kerr.NotEnoughReplicas.Code, kerr.NotEnoughReplicasAfterAppend.Code:
		return kerr.CoordinatorNotAvailable.Code
	case kerr.NotLeaderForPartition.Code, kerr.KafkaStorageError.Code:
		return kerr.NotCoordinator.Code
	case kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code, kerr.InvalidFetchSize.Code:
		return kerr.InvalidCommitOffsetSize.Code
	}
	return code
}

// Fetch returns the committed offsets of partitions; of nil, all there are, in order. With requireStable a
// partition whose offset may be about to change has none (KIP-447).
func (g *Group) Fetch(partitions []topic.Partition, requireStable bool) []FetchedOffset {
	if partitions == nil {
		partitions = slices.SortedFunc(maps.Keys(g.offsets), topic.Partition.Compare)
	}
	waits := map[topic.Partition]bool(nil)
	if requireStable {
		waits = g.inFlight()
	}
	list := make([]FetchedOffset, len(partitions))
	for i, p := range partitions {
		list[i] = NoOffset(p)
		switch o, ok := g.offsets[p]; {
		case requireStable && (waits[p] || g.txns.has(p)):
			list[i].Code = kerr.UnstableOffsetCommit.Code
		case ok:
			list[i].Offset, list[i].LeaderEpoch, list[i].Metadata = o.Offset.Offset, o.LeaderEpoch, o.Metadata
		}
	}
	return list
}

// NoOffset is the answer about a partition without a committed offset.
func NoOffset(p topic.Partition) FetchedOffset {
	return FetchedOffset{Partition: p, Offset: -1, LeaderEpoch: -1}
}

// inFlight returns the partitions of which a commit is being appended; nil: none.
func (g *Group) inFlight() map[topic.Partition]bool {
	if len(g.committing) == 0 {
		return nil
	}
	all := map[topic.Partition]bool{}
	for _, c := range g.committing {
		for i := range c.offsets {
			all[c.offsets[i].Partition] = true
		}
	}
	return all
}

// Delete handles DeleteGroups for this group: only one without members goes.
func (g *Group) Delete(now time.Time) int16 {
	switch g.state {
	case Dead:
		return kerr.GroupIDNotFound.Code
	case Empty:
		g.discard(slices.SortedFunc(maps.Keys(g.offsets), topic.Partition.Compare), true, now)
		return 0
	}
	return kerr.NonEmptyGroup.Code
}

// DeleteOffsets handles OffsetDelete: a code for the whole or, if that is 0, one for each of partitions.
func (g *Group) DeleteOffsets(partitions []topic.Partition, now time.Time) (int16, []int16) {
	codes := make([]int16, len(partitions))
	switch {
	case g.state == Dead:
		return kerr.GroupIDNotFound.Code, nil
	case g.state == Empty:
	case g.typed() != consumerType:
		return kerr.NonEmptyGroup.Code, nil
	}
	var gone []topic.Partition
	for i, p := range partitions {
		if g.state != Empty && (g.subscribed == nil || g.subscribed[p.Topic]) {
			codes[i] = kerr.GroupSubscribedToTopic.Code
			continue
		}
		gone = append(gone, p)
	}
	g.Forget(gone, now)
	return 0, codes
}

// Forget removes the offsets of partitions, if there are any: they were deleted.
func (g *Group) Forget(partitions []topic.Partition, now time.Time) {
	if g.state != Dead {
		g.discard(partitions, false, now)
	}
}

// Expire removes the offsets whose time is over (KIP-211): those of a group without members after it has had
// none for retention, those of a group that subscribes to topics if it does not to theirs, those that were
// committed without a group. A group of which nothing is left goes too.
func (g *Group) Expire(retention time.Duration, now time.Time) {
	if g.state == Dead {
		return
	}
	base := func(o *stored) int64 { return o.CommitTimestamp }
	subscribed := map[string]bool(nil)
	switch {
	case g.protocolType == nil:
	case g.state == Empty:
		if g.since >= 0 {
			base = func(*stored) int64 { return g.since }
		}
	case g.state == Stable && g.typed() == consumerType && g.subscribed != nil:
		subscribed = g.subscribed
	default:
		return
	}
	var gone []topic.Partition
	waits := g.inFlight()
	for p, o := range g.offsets {
		if waits[p] || subscribed[p.Topic] {
			continue
		}
		expired := now.UnixMilli()-base(&o) >= retention.Milliseconds()
		if o.ExpireTimestamp >= 0 {
			expired = now.UnixMilli() >= o.ExpireTimestamp
		}
		if expired {
			gone = append(gone, p)
		}
	}
	slices.SortFunc(gone, topic.Partition.Compare)
	g.discard(gone, false, now)
}

// discard removes offsets, and the group if that is asked for or nothing is left of it, and has tombstones
// written for what there was.
func (g *Group) discard(partitions []topic.Partition, whole bool, now time.Time) {
	var records []Record
	g.forgetCommits(partitions)
	for _, p := range partitions {
		g.txns.forget(p)
		if _, ok := g.offsets[p]; ok {
			delete(g.offsets, p)
			records = append(records, Record{Key: OffsetKey(g.ID, p)})
		}
	}
	if whole || g.state == Empty && len(g.offsets) == 0 && len(g.committing) == 0 && len(g.txns.pending) == 0 && len(g.pending) == 0 {
		g.note("group %s transitions to Dead in generation %d", g.ID, g.generation)
		if g.die(now); g.generation > 0 {
			records = append(records, Record{Key: MetadataKey(g.ID)})
		}
	}
	if len(records) > 0 {
		g.fx.Appends = append(g.fx.Appends, Append{Records: records})
	}
}

// forgetCommits takes partitions out of the commits that are being appended.
func (g *Group) forgetCommits(partitions []topic.Partition) {
	if len(g.committing) == 0 {
		return
	}
	gone := make(map[topic.Partition]bool, len(partitions))
	for _, p := range partitions {
		gone[p] = true
	}
	for _, c := range g.committing {
		c.offsets = slices.DeleteFunc(c.offsets, func(o PartitionOffset) bool { return gone[o.Partition] })
	}
	g.committing = slices.DeleteFunc(g.committing, func(c *commit) bool { return len(c.offsets) == 0 })
}

// subscribe notes the topics that the members of a consumer group subscribe to, as of this generation; nil
// if that cannot be told.
func (g *Group) subscribe() {
	g.subscribed = nil
	if g.typed() != consumerType || g.protocolType == nil {
		return
	}
	topics := map[string]bool{}
	for _, m := range g.order {
		if !addSubscription(topics, m.metadata(deref(g.protocol))) {
			g.note("group %s: the subscription of member %s cannot be parsed", g.ID, m.id)
			return
		}
	}
	g.subscribed = topics
}

// addSubscription adds the topics of a ConsumerProtocolSubscription, whose version 0 begins every version.
func addSubscription(topics map[string]bool, b []byte) bool {
	if len(b) < 6 {
		return false
	}
	count := int(int32(uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])))
	b = b[6:]
	for range count {
		if len(b) < 2 {
			return false
		}
		n := int(b[0])<<8 | int(b[1])
		if n > 0x7fff || len(b) < 2+n || !utf8.Valid(b[2:2+n]) {
			return false
		}
		topics[string(b[2:2+n])] = true
		b = b[2+n:]
	}
	return count >= 0
}

// Summary is what DescribeGroups and ListGroups tell of a group.
type Summary struct {
	ID           string
	State        State
	ProtocolType string
	Protocol     string // only of a Stable group, as the members' metadata and assignments
	Members      []MemberSummary
}

// MemberSummary is what DescribeGroups tells of a member.
type MemberSummary struct {
	ID, ClientID, ClientHost string
	InstanceID               *string
	Metadata, Assignment     []byte
}

// Overview is a Summary without members.
func (g *Group) Overview() Summary { return Summary{ID: g.ID, State: g.state, ProtocolType: g.typed()} }

// Describe returns the Summary.
func (g *Group) Describe() Summary {
	s := g.Overview()
	for _, m := range g.order {
		d := MemberSummary{ID: m.id, ClientID: m.clientID, ClientHost: m.clientHost, InstanceID: m.instance}
		if g.state == Stable {
			d.Metadata, d.Assignment = m.metadata(deref(g.protocol)), m.assignment
		}
		s.Members = append(s.Members, d)
	}
	if g.state == Stable {
		s.Protocol = deref(g.protocol)
	}
	slices.SortFunc(s.Members, func(a, b MemberSummary) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
