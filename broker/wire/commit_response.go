package wire

import (
	"sync"

	"github.com/gregor-mq/gregor/broker/request"
)

// OffsetCommitResponse is the answer to an OffsetCommit, version 0 to 9. Topics and partitions are added in the
// order of the request; Partitions finds them again. It is pooled: Body is what the connection recycles.
type OffsetCommitResponse struct {
	Throttle int32 // ms, v3+

	version int16
	answers[CommittedPartition]
}

// CommittedPartition is the answer for one partition.
type CommittedPartition struct {
	Index     int32
	ErrorCode int16
}

var offsetCommitResponses = sync.Pool{New: func() any { return new(OffsetCommitResponse) }}

// NewOffsetCommitResponse returns an empty response for version.
func NewOffsetCommitResponse(version int16) *OffsetCommitResponse {
	r := offsetCommitResponses.Get().(*OffsetCommitResponse)
	r.version = version
	return r
}

// Partition adds a partition to the topic begun last.
func (r *OffsetCommitResponse) Partition(index int32, code int16) {
	r.add(CommittedPartition{index, code})
}

// Partitions returns all partitions, in the order in which they were added.
func (r *OffsetCommitResponse) Partitions() []CommittedPartition { return r.partitions }

// Body returns r as what is to be replied: a large one is not kept for the next request, and the connection
// counts it among those whose contents take memory.
func (r *OffsetCommitResponse) Body() request.Body {
	if cap(r.partitions) > pooledPartitions || cap(r.topics) > pooledPartitions {
		return largeCommitResponse{r}
	}
	return r
}

// largeCommitResponse is an OffsetCommitResponse that is no request.Recycler.
type largeCommitResponse struct{ r *OffsetCommitResponse }

// AppendTo implements request.Body.
func (l largeCommitResponse) AppendTo(dst []byte) []byte { return l.r.AppendTo(dst) }

// AppendTo implements request.Body.
func (r *OffsetCommitResponse) AppendTo(dst []byte) []byte {
	flexible := r.version >= 8
	if r.version >= 3 {
		dst = appendInt32(dst, r.Throttle)
	}
	dst = appendCount(dst, flexible, len(r.topics))
	for i := range r.topics {
		partitions := r.of(i)
		dst = appendString(dst, flexible, r.topics[i].name)
		dst = appendCount(dst, flexible, len(partitions))
		for _, p := range partitions {
			dst = appendInt32(dst, p.Index)
			dst = appendInt16(dst, p.ErrorCode)
			if flexible {
				dst = append(dst, 0)
			}
		}
		if flexible {
			dst = append(dst, 0)
		}
	}
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

// Recycle implements request.Recycler.
func (r *OffsetCommitResponse) Recycle() {
	*r = OffsetCommitResponse{answers: r.answers.emptied()}
	offsetCommitResponses.Put(r)
}
