package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of ParseHeader; Kafka closes the connection for each of them without an answer.
var (
	ErrTruncated          = errors.New("message ends early")
	ErrUnknownKey         = errors.New("unknown API key")
	ErrUnsupportedVersion = errors.New("unsupported version")
)

// Header is a request header of version 0, 1 or 2.
type Header struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      []byte // aliases the frame; empty for null
}

// ParseHeader splits a frame (without its four length bytes) into header and body. The header's own
// version follows from key and version: 0 (no client id) for ControlledShutdown v0, 2 (tagged fields)
// for flexible requests, otherwise 1. Tagged fields are skipped.
//
// Versions are not checked against the table: the route decides, and ApiVersions takes any. With an
// error, as much of the header is filled as could be read.
func ParseHeader(frame []byte) (h Header, body []byte, err error) {
	if len(frame) < 8 {
		if len(frame) >= 4 {
			h.Key, h.Version = int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		}
		return h, nil, fmt.Errorf("request header of %d bytes: %w", len(frame), ErrTruncated)
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	api := Lookup(h.Key)
	if api == nil {
		return h, nil, ErrUnknownKey
	}
	if h.Key == KeyControlledShutdown && h.Version == 0 {
		return h, frame[8:], nil
	}
	r := reader{src: frame[8:]}
	if n := int(r.int16()); n > 0 {
		h.ClientID = r.span(n)
	}
	if api.Flexible(h.Version) {
		r.skipTags()
	}
	if r.bad {
		return h, nil, fmt.Errorf("request header: %w", ErrTruncated)
	}
	return h, r.src, nil
}

// AppendResponseHeader appends the header of the response to a request of key and version: the
// correlation id and, for flexible versions of every API but ApiVersions, no tagged fields.
func AppendResponseHeader(dst []byte, key, version int16, correlationID int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if api := Lookup(key); api != nil && api.Flexible(version) && key != KeyApiVersions {
		dst = append(dst, 0)
	}
	return dst
}
