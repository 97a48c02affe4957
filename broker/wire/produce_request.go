package wire

import (
	"fmt"
	"sync"
)

// ProduceRequest is a decoded Produce request, version 0 to 11. It is made to be reused: see
// AcquireProduceRequest.
type ProduceRequest struct {
	Version         int16
	Transactional   bool   // TransactionalID is not null (v3+)
	TransactionalID string // safe to keep
	Acks            int16
	Timeout         int32 // ms
	Topics          []ProduceTopic

	partitions []ProducePartition
}

// ProduceTopic is a topic of a ProduceRequest.
type ProduceTopic struct {
	Name       string // safe to keep
	Partitions []ProducePartition
}

// ProducePartition is what is to be appended to one partition.
type ProducePartition struct {
	Index   int32
	Records []byte // aliases the request's body; nil for null
}

var produceRequests = sync.Pool{New: func() any { return new(ProduceRequest) }}

// AcquireProduceRequest returns a ProduceRequest to Parse into. Release gives it back.
func AcquireProduceRequest() *ProduceRequest { return produceRequests.Get().(*ProduceRequest) }

// Release gives r back; neither r nor its slices may be used after that.
func (r *ProduceRequest) Release() {
	if cap(r.partitions) > pooledPartitions || cap(r.Topics) > pooledPartitions {
		*r = ProduceRequest{}
	} else {
		clear(r.partitions) // they point into a connection's buffer
		clear(r.Topics)
	}
	produceRequests.Put(r)
}

// Parse decodes body, the Produce request of version, into r. Records alias body; the slices are r's.
// Bytes after the message are ignored, as by Kafka. The error wraps ErrTruncated or
// ErrUnsupportedVersion.
func (r *ProduceRequest) Parse(version int16, body []byte) error {
	if version < 0 || version > 11 {
		return fmt.Errorf("parse Produce v%d: %w", version, ErrUnsupportedVersion)
	}
	*r = ProduceRequest{Version: version, Topics: r.Topics[:0], partitions: r.partitions[:0]}
	in, flexible := reader{src: body}, version >= 9
	if version >= 3 {
		id := in.string(flexible)
		r.Transactional, r.TransactionalID = id != nil, Intern(id)
	}
	r.Acks = in.int16()
	r.Timeout = in.int32()
	for n := in.array(flexible, 3); n > 0 && !in.bad; n-- {
		t := ProduceTopic{Name: Intern(in.nonNull(flexible))}
		first := len(r.partitions)
		for m := in.array(flexible, 5); m > 0 && !in.bad; m-- {
			r.partitions = append(r.partitions, ProducePartition{Index: in.int32(), Records: in.bytes(flexible)})
			if flexible {
				in.skipTags()
			}
		}
		if flexible {
			in.skipTags()
		}
		t.Partitions = r.partitions[first:] // cut again below: the slice may move
		r.Topics = append(r.Topics, t)
	}
	if flexible {
		in.skipTags()
	}
	first := 0
	for i := range r.Topics {
		end := first + len(r.Topics[i].Partitions)
		r.Topics[i].Partitions = r.partitions[first:end:end]
		first = end
	}
	if in.bad {
		return fmt.Errorf("parse Produce v%d: %w", version, ErrTruncated)
	}
	return nil
}

// NumPartitions returns the number of partitions in all topics.
func (r *ProduceRequest) NumPartitions() int { return len(r.partitions) }
