package admin

import (
	"cmp"
	"errors"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// LogDirs serves what is about the log directories of this broker. All fields are required.
type LogDirs struct {
	Storage  *storage.Manager
	Replicas *replica.Manager
	Logger   logrus.FieldLogger
}

// Describe serves DescribeLogDirs, versions 0 to 4: sizes of replicas, and of volumes from version 4 on
// (KIP-827). Topics without a replica in a directory are left out of it.
func (h *LogDirs) Describe(r *request.Request) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	asked := askedOf(req)
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	for _, d := range h.Storage.Dirs() {
		out := kmsg.NewDescribeLogDirsResponseDir()
		out.Dir = d.Absolute
		if d.Offline {
			out.ErrorCode = kerr.KafkaStorageError.Code
		} else {
			out.TotalBytes, out.UsableBytes = d.Total, d.Usable
			out.Topics = h.describe(d.Path, asked)
		}
		resp.Dirs = append(resp.Dirs, out)
	}
	r.Reply(resp)
}

// askedOf returns the partitions that a request names, nil for all.
func askedOf(req *kmsg.DescribeLogDirsRequest) map[topic.Partition]bool {
	if req.Topics == nil {
		return nil
	}
	asked := map[topic.Partition]bool{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			asked[topic.Partition{Topic: t.Topic, Index: p}] = true
		}
	}
	return asked
}

// describe lists the replicas in a directory, by name.
func (h *LogDirs) describe(dir string, asked map[topic.Partition]bool) (topics []kmsg.DescribeLogDirsResponseDirTopic) {
	logs := h.Storage.LogsIn(dir)
	slices.SortFunc(logs, func(a, b *storage.Log) int {
		x, y := a.Partition(), b.Partition()
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Index, y.Index))
	})
	for _, l := range logs {
		name := l.Partition()
		if asked != nil && !asked[name] {
			continue
		}
		if n := len(topics); n == 0 || topics[n-1].Topic != name.Topic {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = name.Topic
			topics = append(topics, t)
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size, p.OffsetLag, p.IsFuture = name.Index, l.Size(), h.lag(l), l.IsFuture()
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return topics
}

// unknownLag is that of a log which the controller has not spoken of yet (DescribeLogDirsResponse.INVALID_OFFSET_LAG).
const unknownLag = -1

// lag returns how far a log ends below the high watermark, or a future one below the current one.
func (h *LogDirs) lag(l *storage.Log) int64 {
	p, err := h.Replicas.Partition(l.Partition())
	switch {
	case err != nil:
		return unknownLag
	case l.IsFuture():
		return p.Log().EndOffset() - l.EndOffset()
	}
	return max(0, p.Log().HighWatermark()-l.EndOffset())
}

// Alter serves AlterReplicaLogDirs, versions 0 to 2. A partition that is named for several directories goes to
// the last of them.
func (h *LogDirs) Alter(r *request.Request) {
	req := kmsg.NewPtrAlterReplicaLogDirsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	wanted := map[topic.Partition]string{}
	var order []topic.Partition
	for _, d := range req.Dirs {
		for _, t := range d.Topics {
			for _, index := range t.Partitions {
				name := topic.Partition{Topic: t.Topic, Index: index}
				if _, again := wanted[name]; !again {
					order = append(order, name)
				}
				wanted[name] = d.Dir
			}
		}
	}
	slices.SortStableFunc(order, func(a, b topic.Partition) int { return cmp.Compare(a.Topic, b.Topic) })
	resp := req.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
	for _, name := range order {
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != name.Topic {
			t := kmsg.NewAlterReplicaLogDirsResponseTopic()
			t.Topic = name.Topic
			resp.Topics = append(resp.Topics, t)
		}
		p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
		p.Partition, p.ErrorCode = name.Index, h.alter(name, wanted[name])
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	r.Reply(resp)
}

// alter returns the error code for one partition. One that is not here is REPLICA_NOT_AVAILABLE, for the sake of
// old clients.
func (h *LogDirs) alter(name topic.Partition, dir string) int16 {
	err := h.Replicas.AlterDir(name, dir)
	if err == nil {
		return 0
	}
	h.Logger.WithField("topic", name.Topic).WithField("partition", name.Index).WithField("dir", dir).WithError(err).
		Warn("unable to alter the log directory of a replica")
	if errors.Is(err, replica.ErrNotLeader) {
		return kerr.ReplicaNotAvailable.Code
	}
	return status.Code(err)
}
