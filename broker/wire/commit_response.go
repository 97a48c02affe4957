package wire

import (
	"sync"

	"github.com/gregor-mq/gregor/broker/request"
)

// OffsetCommitResponse is the answer to an OffsetCommit, version 0 to 9. Topics and partitions are added in the
// order of the request; Partitions finds them again. It is pooled: Body is what the connection recycles.
type OffsetCommitResponse struct {
	Throttle int32 // ms, v3+

	version    int16
	topics     []committedTopic
	partitions []CommittedPartition
}

type committedTopic struct {
	name string
	end  int // of its partitions
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

// Topic begins the next topic. name must be safe to keep.
func (r *OffsetCommitResponse) Topic(name string) {
	r.topics = append(r.topics, committedTopic{name, len(r.partitions)})
}

// Partition adds a partition to the topic begun last.
func (r *OffsetCommitResponse) Partition(index int32, code int16) {
	r.partitions = append(r.partitions, CommittedPartition{index, code})
	r.topics[len(r.topics)-1].end = len(r.partitions)
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
	first := 0
	for i := range r.topics {
		t := &r.topics[i]
		dst = appendString(dst, flexible, t.name)
		dst = appendCount(dst, flexible, t.end-first)
		for _, p := range r.partitions[first:t.end] {
			dst = appendInt32(dst, p.Index)
			dst = appendInt16(dst, p.ErrorCode)
			if flexible {
				dst = append(dst, 0)
			}
		}
		first = t.end
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
	clear(r.topics)
	r.Throttle, r.topics, r.partitions = 0, r.topics[:0], r.partitions[:0]
	offsetCommitResponses.Put(r)
}
