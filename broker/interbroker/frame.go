package interbroker

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/wire"
)

// Keys of the requests whose headers are not like the others'.
const (
	keyControlledShutdown = 7
	keyAPIVersions        = 18
)

// appendRequest appends req as one size-prefixed frame: header version 2 for flexible versions, 1
// for the others, and 0, without a client id, for ControlledShutdown version 0.
func appendRequest(dst []byte, req kmsg.Request, correlationID int32, clientID string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0) // frame size, patched below
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if req.Key() != keyControlledShutdown || req.GetVersion() > 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(clientID)))
		dst = append(dst, clientID...)
	}
	if req.IsFlexible() {
		dst = append(dst, 0) // no header tags
	}
	if stop, ok := req.(*kmsg.StopReplicaRequest); ok {
		req = &wire.StopReplicaRequest{StopReplicaRequest: *stop} // version 4 in Kafka's order
	}
	dst = req.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// flexibleResponse reports whether the response to req has tags in its header. The one to
// ApiVersions never has, so that a client can read it before it knows the broker (KIP-511).
func flexibleResponse(req kmsg.Request) bool {
	return req.IsFlexible() && req.Key() != keyAPIVersions
}

var errTags = errors.New("response header tags are cut off")

// tagsSize returns how many bytes the tag section at the start of b takes.
func tagsSize(b []byte) (int, error) {
	count, at := binary.Uvarint(b)
	if at <= 0 {
		return 0, errTags
	}
	for ; count > 0; count-- {
		_, n := binary.Uvarint(b[at:])
		if n <= 0 {
			return 0, errTags
		}
		at += n
		size, n := binary.Uvarint(b[at:])
		if n <= 0 || size > uint64(len(b)-at-n) {
			return 0, errTags
		}
		at += n + int(size)
	}
	return at, nil
}
