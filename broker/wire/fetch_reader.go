package wire

import (
	"errors"
)

// FetchReader walks the body of a Fetch response, version 12 to 17, without allocating: what a follower
// gets from its leader.
//
//	in, err := wire.ReadFetch(version, body)
//	for p, ok := in.Next(); ok; p, ok = in.Next() { ... }
//	err = in.Err()
type FetchReader struct {
	Throttle  int32 // ms
	ErrorCode int16
	SessionID int32

	in         reader
	version    int16
	topic      FetchedFrom
	topics     int // still to come
	partitions int // of this topic, still to come
}

// FetchedFrom is a partition's answer as FetchReader gives it. Section and Aborted are not set, and
// Records alias the body.
type FetchedFrom struct {
	Name []byte // the topic's, version 12; aliases the body
	ID   [16]byte
	FetchedPartition
}

var errFetchResponse = errors.New("fetch response is cut off")

// ReadFetch begins to read body. An error says that its head is cut off, or that version is not read.
func ReadFetch(version int16, body []byte) (FetchReader, error) {
	if version < 12 || version > 17 {
		return FetchReader{}, ErrUnsupportedVersion
	}
	r := FetchReader{in: reader{src: body}, version: version}
	r.Throttle = r.in.int32()
	r.ErrorCode = r.in.int16()
	r.SessionID = r.in.int32()
	r.topics = max(0, r.in.array(true, fetchTopicMin))
	return r, r.Err()
}

// Err returns an error if the body ended early.
func (r *FetchReader) Err() error {
	if r.in.bad {
		return errFetchResponse
	}
	return nil
}

// Next returns the next partition, which is valid until the next call; false at the end, and where the
// body is cut off.
func (r *FetchReader) Next() (*FetchedFrom, bool) {
	for r.partitions == 0 {
		if r.topics == 0 || r.in.bad {
			return nil, false
		}
		r.topics--
		r.topic.Name = nil
		if r.version >= 13 {
			copy(r.topic.ID[:], r.in.span(16))
		} else {
			r.topic.Name = r.in.nonNull(true)
		}
		r.partitions = max(0, r.in.array(true, fetchedPartitionMin))
		if r.partitions == 0 {
			r.in.skipTags()
		}
	}
	r.readPartition()
	if r.partitions--; r.partitions == 0 {
		r.in.skipTags() // of the topic
	}
	return &r.topic, !r.in.bad
}

// fetchedPartitionMin is the least that a partition of a response takes: its fixed fields, two counts, tags.
const fetchedPartitionMin = 4 + 2 + 8 + 8 + 8 + 1 + 4 + 1 + 1

func (r *FetchReader) readPartition() {
	in, p := &r.in, &r.topic.FetchedPartition
	*p = FetchedPartition{Diverging: NoEpochEnd, Leader: NoLeader}
	p.Index = in.int32()
	p.ErrorCode = in.int16()
	p.HighWatermark = in.int64()
	p.LastStableOffset = in.int64()
	p.LogStartOffset = in.int64()
	for n := in.array(true, 8+8+1); n > 0 && !in.bad; n-- {
		in.span(8 + 8)
		in.skipTags()
	}
	p.PreferredReadReplica = in.int32()
	p.Records = in.bytes(true)
	for n := in.uvarint(); n > 0 && !in.bad; n-- {
		tag := in.uvarint()
		field := reader{src: in.span(int(in.uvarint()))}
		switch tag {
		case 0:
			p.Diverging = EpochEnd{field.int32(), field.int64()}
		case 1:
			p.Leader = LeaderEpoch{field.int32(), field.int32()}
		}
		if field.bad {
			in.fail()
		}
	}
}
