package wire

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/gregor-mq/gregor/broker/topic"
)

// FetchRequest is a decoded Fetch request, version 0 to 17. Fields that its version lacks have
// Kafka's defaults. It is made to be reused: see AcquireFetchRequest.
type FetchRequest struct {
	Version int16
	// ReplicaID is the follower's broker id, -1 for a consumer; from version 15 on it comes from
	// the ReplicaState (KIP-903), as does ReplicaEpoch (-1: unknown).
	ReplicaID    int32
	ReplicaEpoch int64
	MaxWait      int32 // ms
	MinBytes     int32
	MaxBytes     int32 // v3+; math.MaxInt32 before
	Isolation    int8  // 0 read uncommitted, 1 read committed
	SessionID    int32
	SessionEpoch int32 // -1: no session
	Topics       []FetchTopic
	Forgotten    []ForgottenTopic
	Rack         string
	ClusterID    string // "" for null

	partitions []FetchPartition
	indexes    []int32
}

// FetchTopic is a topic of a FetchRequest: a name up to version 12, an id from 13 on.
type FetchTopic struct {
	Name       string
	ID         topic.ID
	Partitions []FetchPartition
}

// FetchPartition is what a FetchRequest asks of one partition.
type FetchPartition struct {
	Index            int32
	LeaderEpoch      int32 // v9+: what the client takes for the current epoch; -1: unknown
	FetchOffset      int64
	LastFetchedEpoch int32 // v12+: -1 unknown
	LogStartOffset   int64 // v5+: the follower's; -1 for consumers
	MaxBytes         int32
}

// ForgottenTopic lists partitions to take out of a fetch session (KIP-227).
type ForgottenTopic struct {
	Name       string
	ID         topic.ID
	Partitions []int32
}

var fetchRequests = sync.Pool{New: func() any { return new(FetchRequest) }}

// AcquireFetchRequest returns a FetchRequest to Parse into. Release gives it back.
func AcquireFetchRequest() *FetchRequest { return fetchRequests.Get().(*FetchRequest) }

// Release gives r back; neither r nor its slices may be used after that.
func (r *FetchRequest) Release() {
	*r = FetchRequest{
		Topics: emptied(r.Topics), Forgotten: emptied(r.Forgotten), partitions: emptied(r.partitions), indexes: emptied(r.indexes),
	}
	fetchRequests.Put(r)
}

// The least bytes that an element takes in any version bound a count before anything is allocated.
const (
	fetchTopicMin     = 3  // compact name, count, tags
	fetchPartitionMin = 16 // index, offset, max bytes
)

// Parse decodes body, the Fetch request of version, into r. Strings are safe to keep; the slices are
// r's. Bytes after the message are ignored, as by Kafka. The error wraps ErrTruncated or ErrUnsupportedVersion, or
// says that more than decodedBytesMax would be taken.
func (r *FetchRequest) Parse(version int16, body []byte) error {
	if version < 0 || version > 17 {
		return fmt.Errorf("parse Fetch v%d: %w", version, ErrUnsupportedVersion)
	}
	*r = FetchRequest{
		Version: version, ReplicaID: -1, ReplicaEpoch: -1, MaxBytes: math.MaxInt32, SessionEpoch: -1,
		Topics: r.Topics[:0], Forgotten: r.Forgotten[:0], partitions: r.partitions[:0], indexes: r.indexes[:0],
	}
	in := reader{src: body}
	if version <= 14 {
		r.ReplicaID = in.int32()
	}
	r.MaxWait = in.int32()
	r.MinBytes = in.int32()
	if version >= 3 {
		r.MaxBytes = in.int32()
	}
	if version >= 4 {
		r.Isolation = in.int8()
	}
	if version >= 7 {
		r.SessionID = in.int32()
		r.SessionEpoch = in.int32()
	}
	r.parseTopics(&in)
	if version >= 7 {
		r.parseForgotten(&in)
	}
	flexible := version >= 12
	if version >= 11 {
		r.Rack = Intern(in.nonNull(flexible))
	}
	if flexible {
		r.parseTags(&in)
	}
	return in.err("Fetch", version)
}

func (r *FetchRequest) parseTopics(in *reader) {
	flexible := r.Version >= 12
	for n := in.elements(flexible, fetchTopicMin, int(unsafe.Sizeof(FetchTopic{}))); n > 0 && !in.bad; n-- {
		var t FetchTopic
		if r.Version >= 13 {
			copy(t.ID[:], in.span(16))
		} else {
			t.Name = Intern(in.nonNull(flexible))
		}
		first := len(r.partitions)
		for m := in.elements(flexible, fetchPartitionMin, int(unsafe.Sizeof(FetchPartition{}))); m > 0 && !in.bad; m-- {
			r.parsePartition(in)
		}
		if flexible {
			in.skipTags()
		}
		t.Partitions = r.partitions[first:] // see regroup
		r.Topics = append(r.Topics, t)
	}
	regroup(r.Topics, r.partitions, func(t *FetchTopic) *[]FetchPartition { return &t.Partitions })
}

func (r *FetchRequest) parsePartition(in *reader) {
	p := FetchPartition{Index: in.int32(), LeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1}
	if r.Version >= 9 {
		p.LeaderEpoch = in.int32()
	}
	p.FetchOffset = in.int64()
	if r.Version >= 12 {
		p.LastFetchedEpoch = in.int32()
	}
	if r.Version >= 5 {
		p.LogStartOffset = in.int64()
	}
	p.MaxBytes = in.int32()
	if r.Version >= 12 {
		in.skipTags() // replica directory id (v17), high watermark (KRaft only)
	}
	r.partitions = append(r.partitions, p)
}

func (r *FetchRequest) parseForgotten(in *reader) {
	flexible := r.Version >= 12
	for n := in.elements(flexible, fetchTopicMin, int(unsafe.Sizeof(ForgottenTopic{}))); n > 0 && !in.bad; n-- {
		var t ForgottenTopic
		if r.Version >= 13 {
			copy(t.ID[:], in.span(16))
		} else {
			t.Name = Intern(in.nonNull(flexible))
		}
		first := len(r.indexes)
		for m := in.elements(flexible, 4, 4); m > 0 && !in.bad; m-- {
			r.indexes = append(r.indexes, in.int32())
		}
		if flexible {
			in.skipTags()
		}
		t.Partitions = r.indexes[first:]
		r.Forgotten = append(r.Forgotten, t)
	}
	regroup(r.Forgotten, r.indexes, func(t *ForgottenTopic) *[]int32 { return &t.Partitions })
}

func (r *FetchRequest) parseTags(in *reader) {
	for n := int32(in.uvarint()); n > 0 && !in.bad; n-- {
		tag := in.uvarint()
		field := reader{src: in.span(int(in.uvarint()))}
		switch {
		case in.bad:
			return
		case tag == 0:
			r.ClusterID = Intern(field.string(true))
		case tag == 1 && r.Version >= 15:
			r.ReplicaID = field.int32()
			r.ReplicaEpoch = field.int64()
			field.skipTags()
		}
		if field.bad {
			in.fail()
		}
	}
}
