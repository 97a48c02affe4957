package wire

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// StopReplicaRequest is kmsg's with version 4 put right. Kafka writes
//
//	controllerId int32, isKRaftController bool, controllerEpoch int32, brokerEpoch int64, ...
//
// and kmsg has the second and third field the other way round. Controllers of Kafka 3.4 and later
// send version 4.
type StopReplicaRequest struct{ kmsg.StopReplicaRequest }

// AppendTo implements kmsg.Request.
func (r *StopReplicaRequest) AppendTo(dst []byte) []byte {
	start := len(dst)
	dst = r.StopReplicaRequest.AppendTo(dst)
	if r.Version >= 4 {
		rotateStopReplica(dst[start:], 4)
	}
	return dst
}

// ReadFrom implements kmsg.Request. It does not change src.
func (r *StopReplicaRequest) ReadFrom(src []byte) error {
	if r.Version >= 4 && len(src) >= 9 {
		src = bytes.Clone(src)
		rotateStopReplica(src, 1)
	}
	return r.StopReplicaRequest.ReadFrom(src)
}

// UnsafeReadFrom implements kmsg.UnsafeReadFrom; it is ReadFrom.
func (r *StopReplicaRequest) UnsafeReadFrom(src []byte) error { return r.ReadFrom(src) }

// rotateStopReplica swaps the two fields after the controller id in place: the first n of the next
// five bytes go behind the others.
func rotateStopReplica(body []byte, n int) {
	var five [5]byte
	copy(five[:], body[4:9])
	copy(body[4:], five[n:])
	copy(body[4+5-n:], five[:n])
}
