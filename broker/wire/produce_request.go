package wire

import (
	"fmt"
	"sync"
	"unsafe"
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
	seen       map[producedTo]struct{} // of KeepLast; empty between its calls
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
	if cap(r.partitions) > pooledPartitions {
		r.seen = nil
	}
	r.Topics, r.partitions = emptied(r.Topics), emptied(r.partitions)
	produceRequests.Put(r)
}

// Parse decodes body, the Produce request of version, into r. Records alias body; the slices are r's.
// Bytes after the message are ignored, as by Kafka. The error wraps ErrTruncated or ErrUnsupportedVersion, or says that
// more than decodedBytesMax would be taken.
func (r *ProduceRequest) Parse(version int16, body []byte) error {
	if version < 0 || version > 11 {
		return fmt.Errorf("parse Produce v%d: %w", version, ErrUnsupportedVersion)
	}
	*r = ProduceRequest{Version: version, Topics: r.Topics[:0], partitions: r.partitions[:0], seen: r.seen}
	in, flexible := reader{src: body}, version >= 9
	if version >= 3 {
		id := in.string(flexible)
		r.Transactional, r.TransactionalID = id != nil, Intern(id)
	}
	r.Acks = in.int16()
	r.Timeout = in.int32()
	for n := in.elements(flexible, 3, int(unsafe.Sizeof(ProduceTopic{}))); n > 0 && !in.bad; n-- {
		t := ProduceTopic{Name: Intern(in.nonNull(flexible))}
		first := len(r.partitions)
		for m := in.elements(flexible, 5, int(unsafe.Sizeof(ProducePartition{}))); m > 0 && !in.bad; m-- {
			r.partitions = append(r.partitions, ProducePartition{Index: in.int32(), Records: in.bytes(flexible)})
			if flexible {
				in.skipTags()
			}
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
	regroup(r.Topics, r.partitions, func(t *ProduceTopic) *[]ProducePartition { return &t.Partitions })
	return in.err("Produce", version)
}

// fewPartitions is up to how many partitions are compared one with another.
const fewPartitions = 16

// KeepLast drops what a request says of a partition that it names again further on: Kafka gathers a
// request's partitions in a map, in which the last one counts. Topics may be left without partitions.
func (r *ProduceRequest) KeepLast() {
	if !r.repeats() {
		return
	}
	later := map[producedTo]struct{}{}
	for i := len(r.Topics) - 1; i >= 0; i-- {
		t := &r.Topics[i]
		first := len(t.Partitions)
		for j := len(t.Partitions) - 1; j >= 0; j-- {
			to := producedTo{t.Name, t.Partitions[j].Index}
			if _, again := later[to]; again {
				continue
			}
			later[to] = struct{}{}
			first--
			t.Partitions[first] = t.Partitions[j]
		}
		t.Partitions = t.Partitions[first:]
	}
}

// producedTo names a partition.
type producedTo struct {
	topic string
	index int32
}

// repeats reports whether a partition is named twice.
func (r *ProduceRequest) repeats() bool {
	if len(r.partitions) > fewPartitions {
		return r.repeatsAmongMany()
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			if contains(t.Partitions[:j], t.Partitions[j].Index) {
				return true
			}
			for k := range r.Topics[:i] {
				if r.Topics[k].Name == t.Name && contains(r.Topics[k].Partitions, t.Partitions[j].Index) {
					return true
				}
			}
		}
	}
	return false
}

func contains(ps []ProducePartition, index int32) bool {
	for i := range ps {
		if ps[i].Index == index {
			return true
		}
	}
	return false
}

func (r *ProduceRequest) repeatsAmongMany() bool {
	if r.seen == nil {
		r.seen = make(map[producedTo]struct{}, len(r.partitions))
	}
	defer clear(r.seen)
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			r.seen[producedTo{r.Topics[i].Name, r.Topics[i].Partitions[j].Index}] = struct{}{}
		}
	}
	return len(r.seen) < len(r.partitions)
}

// NumPartitions returns the number of partitions in all topics.
func (r *ProduceRequest) NumPartitions() int { return len(r.partitions) }
