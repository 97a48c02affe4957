package group

import (
	"maps"
	"slices"
	"time"

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

// take makes an offset count, unless there is a newer one. Of two in one batch the later counts, as when the log is read.
func (g *Group) take(p topic.Partition, o stored) {
	if had, ok := g.offsets[p]; !ok || had.batch <= o.batch {
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
