package groups

import (
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/repeat"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// OffsetCommit commits offsets, versions 0 to 9; those of version 0 go to ZooKeeper.
func (h *Handlers) OffsetCommit(r *request.Request) {
	req := wire.AcquireOffsetCommitRequest()
	defer req.Release()
	if err := req.Parse(r.Version, r.Body); err != nil {
		r.Drop(err)
		return
	}
	resp := wire.NewOffsetCommitResponse(r.Version)
	c := &group.Commit{Identity: identity(req.MemberID, &req.InstanceID, req.Static), Generation: req.Generation}
	c.Offsets = h.lay(req, resp)
	switch {
	case len(c.Offsets) == 0:
		r.Reply(resp.Body())
	case r.Version == 0:
		codes := make([]int16, len(c.Offsets))
		for i := range c.Offsets {
			codes[i] = h.commitOld(req.Group, &c.Offsets[i])
		}
		r.Reply(committed(resp, codes))
	default:
		h.Groups.Commit(req.Group, c, func(codes []int16) { r.Reply(committed(resp, codes)) })
	}
}

// lay returns the request's offsets, and makes a place for each in resp. Those of partitions that do not exist have
// an error there, and are not returned.
func (h *Handlers) lay(req *wire.OffsetCommitRequest, resp *wire.OffsetCommitResponse) []group.PartitionOffset {
	cluster := h.Metadata.Load()
	now := time.Now().UnixMilli()
	expires := int64(-1)
	if req.Retention != -1 {
		expires = now + req.Retention
	}
	list := make([]group.PartitionOffset, 0, req.NumPartitions())
	for i := range req.Topics {
		in := &req.Topics[i]
		if len(in.Partitions) == 0 && cluster.Topic(in.Name) != nil {
			continue // Kafka names a topic without partitions only to say that it does not exist
		}
		resp.Topic(in.Name)
		for j := range in.Partitions {
			p := &in.Partitions[j]
			at := topic.Partition{Topic: in.Name, Index: p.Index}
			if cluster.Partition(at) == nil {
				resp.Partition(p.Index, kerr.UnknownTopicOrPartition.Code)
				continue
			}
			resp.Partition(p.Index, 0)
			o := group.Offset{
				Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: strings.Clone(p.Metadata),
				CommitTimestamp: now, ExpireTimestamp: expires,
			}
			if p.Timestamp != -1 {
				o.CommitTimestamp = p.Timestamp
			}
			list = append(list, group.PartitionOffset{Partition: at, Offset: o})
		}
	}
	return list
}

// committed puts the codes of what lay has returned into resp.
func committed(resp *wire.OffsetCommitResponse, codes []int16) request.Body {
	places := resp.Partitions()
	for i := range places {
		if places[i].ErrorCode == 0 {
			places[i].ErrorCode, codes = codes[0], codes[1:]
		}
	}
	return resp.Body()
}

func (h *Handlers) commitOld(groupID string, o *group.PartitionOffset) int16 {
	if len(utf16.Encode([]rune(o.Metadata))) > h.MaxMetadata {
		return kerr.OffsetMetadataTooLarge.Code
	}
	if err := h.Old.SetConsumerOffset(h.Context, groupID, o.Partition, o.Offset.Offset); err != nil {
		h.Logger.WithField("group", groupID).WithError(err).Warn("cannot keep an offset in ZooKeeper")
		return status.Code(err)
	}
	return 0
}

// OffsetFetch returns committed offsets, versions 0 to 9, since version 8 of several groups; those of version 0 come
// from ZooKeeper.
func (h *Handlers) OffsetFetch(r *request.Request) {
	req := kmsg.NewPtrOffsetFetchRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version >= 8 {
		h.fetchGroups(req, resp)
		r.Reply(resp)
		return
	}
	var asked []topic.Partition
	if req.Topics != nil || req.Version < 2 { // later, null is all
		asked = []topic.Partition{}
	}
	for i := range req.Topics {
		for _, p := range req.Topics[i].Partitions {
			asked = append(asked, topic.Partition{Topic: req.Topics[i].Topic, Index: p})
		}
	}
	asked = once(asked)
	var found []group.FetchedOffset
	if req.Version == 0 {
		found = h.fetchOld(req.Group, asked)
	} else {
		var code int16
		if code, found = h.Groups.Fetch(req.Group, asked, req.RequireStable); code != 0 {
			found = refused(asked, code)
			if resp.ErrorCode = code; req.Version >= 2 {
				found = nil
			}
		}
	}
	for _, o := range found {
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != o.Topic {
			t := kmsg.NewOffsetFetchResponseTopic()
			t.Topic = o.Topic
			resp.Topics = append(resp.Topics, t)
		}
		p := kmsg.NewOffsetFetchResponseTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = o.Index, o.Offset, o.LeaderEpoch, &o.Metadata, o.Code
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	r.Reply(resp)
}

// once takes out of a list what stands there before: who asks twice is answered once (GroupMetadataManager.getOffsets).
func once(list []topic.Partition) []topic.Partition {
	if len(list) < 2 {
		return list
	}
	seen := make(map[topic.Partition]bool, len(list))
	return slices.DeleteFunc(list, func(p topic.Partition) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// refused repeats an error for each partition: version 1 has no other place for it.
func refused(asked []topic.Partition, code int16) (list []group.FetchedOffset) {
	for _, p := range asked {
		o := group.NoOffset(p)
		o.Code = code
		list = append(list, o)
	}
	return list
}

// fetchGroups answers for several groups.
func (h *Handlers) fetchGroups(req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) {
	var guard repeat.Guard[string]
	for i := range req.Groups {
		asked := &req.Groups[i]
		if guard.Refuse(asked.Group) { // whatever topics: those of each entry may have long metadata
			refused := kmsg.NewOffsetFetchResponseGroup()
			refused.Group, refused.ErrorCode = asked.Group, kerr.InvalidRequest.Code
			resp.Groups = append(resp.Groups, refused)
			continue
		}
		g := h.fetchGroup(asked, req.RequireStable)
		if len(req.Groups) > 1 {
			guard.Answered(asked.Group, offsetsSize(g.Topics))
		}
		resp.Groups = append(resp.Groups, g)
	}
}

// offsetsSize is about what offsets take in a response.
func offsetsSize(topics []kmsg.OffsetFetchResponseGroupTopic) (n int) {
	const fixed = 32
	for i := range topics {
		n += len(topics[i].Topic)
		for j := range topics[i].Partitions {
			n += fixed + len(*topics[i].Partitions[j].Metadata)
		}
	}
	return n
}

func (h *Handlers) fetchGroup(req *kmsg.OffsetFetchRequestGroup, requireStable bool) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = req.Group
	var asked []topic.Partition
	if req.Topics != nil {
		asked = []topic.Partition{}
	}
	for i := range req.Topics {
		for _, p := range req.Topics[i].Partitions {
			asked = append(asked, topic.Partition{Topic: req.Topics[i].Topic, Index: p})
		}
	}
	var found []group.FetchedOffset
	resp.ErrorCode, found = h.Groups.Fetch(req.Group, once(asked), requireStable)
	for _, o := range found {
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != o.Topic {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = o.Topic
			resp.Topics = append(resp.Topics, t)
		}
		p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = o.Index, o.Offset, o.LeaderEpoch, &o.Metadata, o.Code
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return resp
}

func (h *Handlers) fetchOld(groupID string, asked []topic.Partition) []group.FetchedOffset {
	cluster := h.Metadata.Load()
	list := make([]group.FetchedOffset, len(asked))
	for i, p := range asked {
		list[i] = group.NoOffset(p)
		if cluster.Partition(p) == nil {
			list[i].Code = kerr.UnknownTopicOrPartition.Code
			continue
		}
		offset, ok, err := h.Old.ConsumerOffset(h.Context, groupID, p)
		switch {
		case err != nil:
			h.Logger.WithField("group", groupID).WithError(err).Warn("cannot read an offset from ZooKeeper")
			list[i].Code = status.Code(err)
		case !ok:
			list[i].Code = kerr.UnknownTopicOrPartition.Code
		default:
			list[i].Offset = offset
		}
	}
	return list
}
