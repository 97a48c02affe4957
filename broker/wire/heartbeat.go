package wire

import (
	"fmt"
	"sync"
)

// HeartbeatRequest is a decoded Heartbeat request, version 0 to 4. Its strings alias the request's body: whoever
// keeps one copies it.
type HeartbeatRequest struct {
	Group      string
	Generation int32
	MemberID   string
	InstanceID string // v3+
	Static     bool   // InstanceID is not null
}

// Parse decodes body, the Heartbeat request of version, into r. The error wraps ErrTruncated or
// ErrUnsupportedVersion.
func (r *HeartbeatRequest) Parse(version int16, body []byte) error {
	if version < 0 || version > 4 {
		return fmt.Errorf("parse Heartbeat v%d: %w", version, ErrUnsupportedVersion)
	}
	in, flexible := reader{src: body}, version >= 4
	*r = HeartbeatRequest{Group: alias(in.nonNull(flexible)), Generation: in.int32(), MemberID: alias(in.nonNull(flexible))}
	if version >= 3 {
		id := in.string(flexible)
		r.InstanceID, r.Static = alias(id), id != nil
	}
	if flexible {
		in.skipTags()
	}
	return in.err("Heartbeat", version)
}

// HeartbeatResponse is the answer to a Heartbeat, version 0 to 4. It is pooled: once replied, the connection
// recycles it.
type HeartbeatResponse struct {
	Throttle  int32 // ms, v1+
	ErrorCode int16
	version   int16
}

var heartbeatResponses = sync.Pool{New: func() any { return new(HeartbeatResponse) }}

// NewHeartbeatResponse returns a response for version.
func NewHeartbeatResponse(version int16) *HeartbeatResponse {
	r := heartbeatResponses.Get().(*HeartbeatResponse)
	*r = HeartbeatResponse{version: version}
	return r
}

// AppendTo implements request.Body.
func (r *HeartbeatResponse) AppendTo(dst []byte) []byte {
	if r.version >= 1 {
		dst = appendInt32(dst, r.Throttle)
	}
	dst = appendInt16(dst, r.ErrorCode)
	if r.version >= 4 {
		dst = append(dst, 0)
	}
	return dst
}

// Recycle implements request.Recycler.
func (r *HeartbeatResponse) Recycle() { heartbeatResponses.Put(r) }
