package group

import (
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
)

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
	if len(gone) > 0 {
		g.Forget(gone, now)
	}
	return 0, codes
}

// Forget removes the offsets of partitions, if there are any: they were deleted.
func (g *Group) Forget(partitions []topic.Partition, now time.Time) {
	if g.state != Dead {
		g.forgetUnsettled(partitions)
		g.discard(partitions, false, now)
	}
}

// Expire removes the offsets whose time is over (KIP-211): those of a group without members after it has had
// none for retention, those of a group that subscribes to topics if it does not to theirs, those that were
// committed without a group. What is pending in a transaction is newer, and stays. A group of which nothing is left
// goes too.
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
// written for what there was. An id that was given out and not used yet keeps no group: who comes with it is sent for
// another one.
func (g *Group) discard(partitions []topic.Partition, whole bool, now time.Time) {
	var records []Record
	for _, p := range partitions {
		if _, ok := g.offsets[p]; ok {
			delete(g.offsets, p)
			records = append(records, Record{Key: offsetKey(g.ID, p)})
		}
	}
	if whole || g.state == Empty && len(g.offsets) == 0 && len(g.committing) == 0 && len(g.txns.pending) == 0 {
		g.note("Group %s with generation %d is gone", g.ID, g.generation)
		if g.die(now); g.generation > 0 {
			records = append(records, Record{Key: metadataKey(g.ID)})
		}
	}
	if len(records) > 0 {
		g.fx.Appends = append(g.fx.Appends, Append{Records: records})
	}
}

// forgetUnsettled drops what is pending of partitions, and takes them out of the commits that are being appended.
func (g *Group) forgetUnsettled(partitions []topic.Partition) {
	for _, p := range partitions {
		g.txns.forget(p)
	}
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
