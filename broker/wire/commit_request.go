package wire

import (
	"fmt"
	"sync"
	"unsafe"
)

// OffsetCommitRequest is a decoded OffsetCommit request, version 0 to 9. Its strings alias the request's body,
// but for the names of topics: whoever keeps one copies it. It is made to be reused: see AcquireOffsetCommitRequest.
type OffsetCommitRequest struct {
	Version    int16
	Group      string
	Generation int32  // v1+; -1 before
	MemberID   string // v1+
	InstanceID string // v7+
	Static     bool   // InstanceID is not null
	Retention  int64  // ms, v2 to v4; -1: the broker's
	Topics     []OffsetCommitTopic

	partitions []OffsetCommitPartition
}

// OffsetCommitTopic is a topic of an OffsetCommitRequest.
type OffsetCommitTopic struct {
	Name       string // safe to keep
	Partitions []OffsetCommitPartition
}

// OffsetCommitPartition is the offset of one partition.
type OffsetCommitPartition struct {
	Index       int32
	Offset      int64
	Timestamp   int64  // ms since 1970, v1 only; -1: now
	LeaderEpoch int32  // v6+; -1: not known
	Metadata    string // "" for null
}

var offsetCommitRequests = sync.Pool{New: func() any { return new(OffsetCommitRequest) }}

// AcquireOffsetCommitRequest returns an OffsetCommitRequest to Parse into. Release gives it back.
func AcquireOffsetCommitRequest() *OffsetCommitRequest {
	return offsetCommitRequests.Get().(*OffsetCommitRequest)
}

// Release gives r back; neither r nor its slices may be used after that.
func (r *OffsetCommitRequest) Release() {
	*r = OffsetCommitRequest{Topics: emptied(r.Topics), partitions: emptied(r.partitions)}
	offsetCommitRequests.Put(r)
}

// Parse decodes body, the OffsetCommit request of version, into r. Bytes after the message are ignored, as by
// Kafka. The error wraps ErrTruncated or ErrUnsupportedVersion, or says that more than decodedBytesMax would be taken.
func (r *OffsetCommitRequest) Parse(version int16, body []byte) error {
	if version < 0 || version > 9 {
		return fmt.Errorf("parse OffsetCommit v%d: %w", version, ErrUnsupportedVersion)
	}
	*r = OffsetCommitRequest{Version: version, Generation: -1, Retention: -1, Topics: r.Topics[:0], partitions: r.partitions[:0]}
	in, flexible := reader{src: body}, version >= 8
	r.parseHead(&in, flexible)
	for n := in.elements(flexible, 3, int(unsafe.Sizeof(OffsetCommitTopic{}))); n > 0 && !in.bad; n-- {
		t := OffsetCommitTopic{Name: Intern(in.nonNull(flexible))}
		first := len(r.partitions)
		for m := in.elements(flexible, 13, int(unsafe.Sizeof(OffsetCommitPartition{}))); m > 0 && !in.bad; m-- {
			r.partitions = append(r.partitions, r.parsePartition(&in, flexible))
		}
		if flexible {
			in.skipTags()
		}
		t.Partitions = r.partitions[first:] // see regroup
		r.Topics = append(r.Topics, t)
	}
	if flexible {
		in.skipTags()
	}
	regroup(r.Topics, r.partitions, func(t *OffsetCommitTopic) *[]OffsetCommitPartition { return &t.Partitions })
	return in.err("OffsetCommit", version)
}

// parseHead decodes what precedes the topics.
func (r *OffsetCommitRequest) parseHead(in *reader, flexible bool) {
	r.Group = alias(in.nonNull(flexible))
	if r.Version >= 1 {
		r.Generation = in.int32()
		r.MemberID = alias(in.nonNull(flexible))
	}
	if r.Version >= 7 {
		id := in.string(flexible)
		r.InstanceID, r.Static = alias(id), id != nil
	}
	if r.Version >= 2 && r.Version <= 4 {
		r.Retention = in.int64()
	}
}

func (r *OffsetCommitRequest) parsePartition(in *reader, flexible bool) OffsetCommitPartition {
	p := OffsetCommitPartition{Index: in.int32(), Offset: in.int64(), Timestamp: -1, LeaderEpoch: -1}
	if r.Version == 1 {
		p.Timestamp = in.int64()
	}
	if r.Version >= 6 {
		p.LeaderEpoch = in.int32()
	}
	p.Metadata = alias(in.string(flexible))
	if flexible {
		in.skipTags()
	}
	return p
}

// NumPartitions returns the number of partitions in all topics.
func (r *OffsetCommitRequest) NumPartitions() int { return len(r.partitions) }
