package wire

import "sync"

// ProduceResponse is the answer to a Produce, version 0 to 11.
//
// Topics and partitions are added in the order of the request; At finds a partition again by its
// place, which is how an answer that waits for replicas is completed. It is pooled: once replied, the
// connection recycles it. Whoever does not reply calls Recycle.
type ProduceResponse struct {
	Throttle  int32 // ms, v1+
	Endpoints []NodeEndpoint

	version int16
	answers[ProducedPartition]
}

// ProducedPartition is the answer for one partition. Fields that the version lacks are not written.
type ProducedPartition struct {
	Index          int32
	ErrorCode      int16
	BaseOffset     int64
	LogAppendTime  int64           // ms, v2+; -1 for CreateTime
	LogStartOffset int64           // v5+
	RecordErrors   []ProducedError // v8+ (KIP-467)
	ErrorMessage   string          // v8+; "" is written as null
	// Leader is written (v10+) unless it is NoLeader (KIP-951).
	Leader LeaderEpoch
}

// ProducedError tells what is wrong with one record of a batch.
type ProducedError struct {
	Index   int32  // in the batch
	Message string // "" is written as null
}

var produceResponses = sync.Pool{New: func() any { return new(ProduceResponse) }}

// NewProduceResponse returns an empty response for version.
func NewProduceResponse(version int16) *ProduceResponse {
	r := produceResponses.Get().(*ProduceResponse)
	r.version = version
	return r
}

// Partition adds a partition to the topic begun last: no error and every offset, time and id -1. The
// pointer is valid until the next call.
func (r *ProduceResponse) Partition(index int32) *ProducedPartition {
	return r.add(ProducedPartition{Index: index, BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1, Leader: NoLeader})
}

// Version returns the version that r is written in.
func (r *ProduceResponse) Version() int16 { return r.version }

// Len returns the number of partitions added.
func (r *ProduceResponse) Len() int { return len(r.partitions) }

// At returns the i-th partition added. The pointer is valid until Partition is called.
func (r *ProduceResponse) At(i int) *ProducedPartition { return &r.partitions[i] }

// AppendTo implements request.Body.
func (r *ProduceResponse) AppendTo(dst []byte) []byte {
	v, flexible := r.version, r.version >= 9
	dst = appendCount(dst, flexible, len(r.topics))
	for i := range r.topics {
		partitions := r.of(i)
		dst = appendString(dst, flexible, r.topics[i].name)
		dst = appendCount(dst, flexible, len(partitions))
		for j := range partitions {
			dst = r.appendPartition(dst, &partitions[j])
		}
		if flexible {
			dst = append(dst, 0)
		}
	}
	if v >= 1 {
		dst = appendInt32(dst, r.Throttle)
	}
	if flexible {
		dst = appendEndpoints(dst, r.Endpoints, v >= 10)
	}
	return dst
}

func (r *ProduceResponse) appendPartition(dst []byte, p *ProducedPartition) []byte {
	v, flexible := r.version, r.version >= 9
	dst = appendInt32(dst, p.Index)
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendInt64(dst, p.BaseOffset)
	if v >= 2 {
		dst = appendInt64(dst, p.LogAppendTime)
	}
	if v >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if v >= 8 {
		dst = appendCount(dst, flexible, len(p.RecordErrors))
		for i := range p.RecordErrors {
			dst = appendInt32(dst, p.RecordErrors[i].Index)
			dst = appendNullable(dst, flexible, p.RecordErrors[i].Message)
			if flexible {
				dst = append(dst, 0)
			}
		}
		dst = appendNullable(dst, flexible, p.ErrorMessage)
	}
	switch {
	case !flexible:
	case v >= 10 && p.Leader != NoLeader:
		dst = appendLeader(append(dst, 1), 0, p.Leader)
	default:
		dst = append(dst, 0)
	}
	return dst
}

// Recycle implements request.Recycler.
func (r *ProduceResponse) Recycle() {
	*r = ProduceResponse{answers: r.answers.emptied(), Endpoints: emptied(r.Endpoints)}
	produceResponses.Put(r)
}
