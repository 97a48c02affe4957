package wire

import (
	"sync"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

// FetchResponse is the answer to a Fetch, version 0 to 17, whose records are sections of log files
// that the connection sends without reading them.
//
//	resp := wire.NewFetchResponse(version)
//	resp.SessionID = id
//	resp.Topic(name, id)
//	p := resp.Partition(0) // has Kafka's defaults
//	p.HighWatermark, p.Section = hw, section
//	r.Reply(resp)
//
// It is pooled: once replied, the connection recycles it. Whoever does not reply calls Discard.
type FetchResponse struct {
	Throttle  int32 // ms, v1+
	ErrorCode int16 // v7+
	SessionID int32 // v7+
	Endpoints []NodeEndpoint

	version int16
	answers[FetchedPartition]
	cuts       []request.Cut
	handedOver bool // Cuts was called: the connection releases the sections
}

// FetchedPartition is the answer for one partition. Fields that the version lacks are not written.
type FetchedPartition struct {
	Index            int32
	ErrorCode        int16
	HighWatermark    int64
	LastStableOffset int64 // v4+
	LogStartOffset   int64 // v5+
	// Aborted transactions (v4+): nil is written as null, which read_uncommitted gets.
	Aborted              []AbortedTransaction
	PreferredReadReplica int32 // v11+
	// The records are Section if that is not nil, otherwise Records. No records are written as
	// empty, never as null.
	Section request.Section
	Records []byte
	// Diverging is written (v12+) unless it is NoEpochEnd: where the follower's log departs.
	Diverging EpochEnd
	// Leader is written (v12+) unless it is NoLeader (KIP-951).
	Leader LeaderEpoch
}

// AbortedTransaction is a transaction whose records a read_committed consumer skips.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEnd is a leader epoch and its end offset.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// NoEpochEnd stands for none and is not written.
var NoEpochEnd = EpochEnd{-1, -1}

var fetchResponses = sync.Pool{New: func() any { return new(FetchResponse) }}

// NewFetchResponse returns an empty response for version.
func NewFetchResponse(version int16) *FetchResponse {
	r := fetchResponses.Get().(*FetchResponse)
	r.version = version
	return r
}

// Topic begins the next topic: the name is written up to version 12, the id from 13 on.
func (r *FetchResponse) Topic(name string, id topic.ID) { r.begin(name, id) }

// Partition adds a partition to the topic begun last: no error, no records, and every offset and id
// -1. The pointer is valid until the next call.
func (r *FetchResponse) Partition(index int32) *FetchedPartition {
	return r.add(FetchedPartition{
		Index: index, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		PreferredReadReplica: -1, Diverging: NoEpochEnd, Leader: NoLeader,
	})
}

// Version returns the version that r is written in.
func (r *FetchResponse) Version() int16 { return r.version }

// Partitions returns all partitions added, in order. The slice is r's.
func (r *FetchResponse) Partitions() []FetchedPartition { return r.partitions }

// RecordBytes returns the number of bytes of records in r.
func (r *FetchResponse) RecordBytes() int {
	n := 0
	for i := range r.partitions {
		n += r.partitions[i].recordBytes()
	}
	return n
}

// SizeOf returns how many bytes r has on the wire, its size in front included, if it answers for those partitions alone
// that are counted (FetchResponse.sizeOf).
func (r *FetchResponse) SizeOf(counted func(topic.Partition) bool) int {
	part := FetchResponse{version: r.version}
	for i := range r.topics {
		t := &r.topics[i]
		begun := false
		for _, p := range r.of(i) {
			if !counted(topic.Partition{Topic: t.name, Index: p.Index}) {
				continue
			}
			if !begun {
				part.Topic(t.name, t.id)
				begun = true
			}
			part.add(p)
		}
	}
	size := 4 + len(part.AppendTo(nil))
	for _, c := range part.cuts {
		size += int(c.Section.Size())
	}
	return size
}

func (p *FetchedPartition) recordBytes() int {
	if p.Section != nil {
		return int(p.Section.Size())
	}
	return len(p.Records)
}

// AppendTo implements request.Body. What it appends lacks the bytes of the sections.
func (r *FetchResponse) AppendTo(dst []byte) []byte {
	start, v := len(dst), r.version
	flexible := v >= 12
	r.cuts = r.cuts[:0]
	if v >= 1 {
		dst = appendInt32(dst, r.Throttle)
	}
	if v >= 7 {
		dst = appendInt16(dst, r.ErrorCode)
		dst = appendInt32(dst, r.SessionID)
	}
	dst = appendCount(dst, flexible, len(r.topics))
	for i := range r.topics {
		t, partitions := &r.topics[i], r.of(i)
		if v >= 13 {
			dst = append(dst, t.id[:]...)
		} else {
			dst = appendString(dst, flexible, t.name)
		}
		dst = appendCount(dst, flexible, len(partitions))
		for j := range partitions {
			dst = r.appendPartition(dst, start, &partitions[j])
		}
		if flexible {
			dst = append(dst, 0)
		}
	}
	if flexible {
		dst = appendEndpoints(dst, r.Endpoints, v >= 16)
	}
	return dst
}

func (r *FetchResponse) appendPartition(dst []byte, start int, p *FetchedPartition) []byte {
	v, flexible := r.version, r.version >= 12
	dst = appendInt32(dst, p.Index)
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendInt64(dst, p.HighWatermark)
	if v >= 4 {
		dst = appendInt64(dst, p.LastStableOffset)
	}
	if v >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if v >= 4 {
		dst = appendAborted(dst, flexible, p.Aborted)
	}
	if v >= 11 {
		dst = appendInt32(dst, p.PreferredReadReplica)
	}
	dst = appendCount(dst, flexible, p.recordBytes())
	if p.Section != nil {
		r.cuts = append(r.cuts, request.Cut{At: len(dst) - start, Section: p.Section})
	} else {
		dst = append(dst, p.Records...)
	}
	if flexible {
		dst = appendPartitionTags(dst, p)
	}
	return dst
}

func appendAborted(dst []byte, flexible bool, aborted []AbortedTransaction) []byte {
	if aborted == nil {
		return appendCount(dst, flexible, -1)
	}
	dst = appendCount(dst, flexible, len(aborted))
	for _, t := range aborted {
		dst = appendInt64(dst, t.ProducerID)
		dst = appendInt64(dst, t.FirstOffset)
		if flexible {
			dst = append(dst, 0)
		}
	}
	return dst
}

func appendPartitionTags(dst []byte, p *FetchedPartition) []byte {
	diverging, leader := p.Diverging != NoEpochEnd, p.Leader != NoLeader
	n := byte(0)
	if diverging {
		n++
	}
	if leader {
		n++
	}
	dst = append(dst, n)
	if diverging {
		dst = append(dst, 0, 4+8+1)
		dst = appendInt32(dst, p.Diverging.Epoch)
		dst = appendInt64(dst, p.Diverging.EndOffset)
		dst = append(dst, 0)
	}
	if leader {
		dst = appendLeader(dst, 1, p.Leader)
	}
	return dst
}

// Cuts implements request.Sectioned: from here on the sections are the caller's to release.
func (r *FetchResponse) Cuts() []request.Cut {
	r.handedOver = true
	return r.cuts
}

// Recycle implements request.Recycler. Sections that were not handed over by Cuts are released.
func (r *FetchResponse) Recycle() {
	if !r.handedOver {
		for i := range r.partitions {
			if s := r.partitions[i].Section; s != nil {
				s.Release()
			}
		}
	}
	*r = FetchResponse{answers: r.answers.emptied(), cuts: emptied(r.cuts), Endpoints: emptied(r.Endpoints)}
	fetchResponses.Put(r)
}

// Discard gives back a response that is not replied, and its sections.
func (r *FetchResponse) Discard() { r.Recycle() }
