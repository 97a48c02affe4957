package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// A FetchRequest is a kmsg.Request, too, so that followers send what leaders parse. kmsg's own allocates
// for every partition from version 12 on.
var _ kmsg.Request = (*FetchRequest)(nil)

// Key implements kmsg.Request.
func (*FetchRequest) Key() int16 { return KeyFetch }

// MaxVersion implements kmsg.Request.
func (*FetchRequest) MaxVersion() int16 { return 17 }

// SetVersion implements kmsg.Request.
func (r *FetchRequest) SetVersion(version int16) { r.Version = version }

// GetVersion implements kmsg.Request.
func (r *FetchRequest) GetVersion() int16 { return r.Version }

// IsFlexible implements kmsg.Request.
func (r *FetchRequest) IsFlexible() bool { return r.Version >= 12 }

// ReadFrom implements kmsg.Request; it is Parse.
func (r *FetchRequest) ReadFrom(src []byte) error { return r.Parse(r.Version, src) }

// ResponseKind implements kmsg.Request. FetchResponse and FetchReader do better than what it returns.
func (r *FetchRequest) ResponseKind() kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = r.Version
	return resp
}

// AppendTo appends the body in r.Version. Topics and Forgotten have names up to version 12, ids from 13 on.
func (r *FetchRequest) AppendTo(dst []byte) []byte {
	v, flexible := r.Version, r.IsFlexible()
	if v <= 14 {
		dst = appendInt32(dst, r.ReplicaID)
	}
	dst = appendInt32(dst, r.MaxWait)
	dst = appendInt32(dst, r.MinBytes)
	if v >= 3 {
		dst = appendInt32(dst, r.MaxBytes)
	}
	if v >= 4 {
		dst = append(dst, byte(r.Isolation))
	}
	if v >= 7 {
		dst = appendInt32(dst, r.SessionID)
		dst = appendInt32(dst, r.SessionEpoch)
	}
	dst = appendCount(dst, flexible, len(r.Topics))
	for i := range r.Topics {
		dst = appendFetchTopic(dst, v, &r.Topics[i])
	}
	if v >= 7 {
		dst = r.appendForgotten(dst)
	}
	if v >= 11 {
		dst = appendString(dst, flexible, r.Rack)
	}
	if flexible {
		dst = r.appendTags(dst)
	}
	return dst
}

func appendFetchTopic(dst []byte, v int16, t *FetchTopic) []byte {
	flexible := v >= 12
	if v >= 13 {
		dst = append(dst, t.ID[:]...)
	} else {
		dst = appendString(dst, flexible, t.Name)
	}
	dst = appendCount(dst, flexible, len(t.Partitions))
	for i := range t.Partitions {
		p := &t.Partitions[i]
		dst = appendInt32(dst, p.Index)
		if v >= 9 {
			dst = appendInt32(dst, p.LeaderEpoch)
		}
		dst = appendInt64(dst, p.FetchOffset)
		if v >= 12 {
			dst = appendInt32(dst, p.LastFetchedEpoch)
		}
		if v >= 5 {
			dst = appendInt64(dst, p.LogStartOffset)
		}
		dst = appendInt32(dst, p.MaxBytes)
		if flexible {
			dst = append(dst, 0)
		}
	}
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

func (r *FetchRequest) appendForgotten(dst []byte) []byte {
	flexible := r.IsFlexible()
	dst = appendCount(dst, flexible, len(r.Forgotten))
	for i := range r.Forgotten {
		t := &r.Forgotten[i]
		if r.Version >= 13 {
			dst = append(dst, t.ID[:]...)
		} else {
			dst = appendString(dst, flexible, t.Name)
		}
		dst = appendCount(dst, flexible, len(t.Partitions))
		for _, index := range t.Partitions {
			dst = appendInt32(dst, index)
		}
		if flexible {
			dst = append(dst, 0)
		}
	}
	return dst
}

// appendTags appends the cluster id, if there is one, and from version 15 on a follower's replica state
// (KIP-903); a consumer has none.
func (r *FetchRequest) appendTags(dst []byte) []byte {
	state := r.Version >= 15 && r.ReplicaID >= 0
	n := byte(0)
	if r.ClusterID != "" {
		n++
	}
	if state {
		n++
	}
	dst = append(dst, n)
	if r.ClusterID != "" {
		size := uint32(len(r.ClusterID))
		dst = append(dst, 0)
		dst = appendUvarint(dst, uint32(uvarintLen(size+1))+size)
		dst = appendString(dst, true, r.ClusterID)
	}
	if state {
		dst = append(dst, 1, 4+8+1)
		dst = appendInt32(dst, r.ReplicaID)
		dst = appendInt64(dst, r.ReplicaEpoch)
		dst = append(dst, 0)
	}
	return dst
}
