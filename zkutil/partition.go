package zkutil

import (
	"fmt"
	"strconv"

	"github.com/gregor-mq/gregor/broker/topic"
)

// NoLeader as a partition's leader means that there is none.
const NoLeader int32 = -1

// PartitionsPath returns the parent of the nodes of a topic's partitions.
func PartitionsPath(name string) string { return TopicPath(name) + "/partitions" }

// PartitionPath returns the parent of a partition's state.
func PartitionPath(p topic.Partition) string {
	return PartitionsPath(p.Topic) + "/" + strconv.Itoa(int(p.Index))
}

// PartitionStatePath returns the node of a partition's state.
func PartitionStatePath(p topic.Partition) string { return PartitionPath(p) + "/state" }

// PartitionState is who leads a partition and who is in sync with the leader
// (TopicPartitionStateZNode).
type PartitionState struct {
	Leader          int32 // or NoLeader
	LeaderEpoch     int32
	ISR             []int32 // in the order in which it was written
	ControllerEpoch int32   // of the controller that wrote it or appointed the writer
	Recovering      bool    // elected uncleanly, and not yet recovered (KIP-704)

	// Version is the node's data version, the partition epoch of requests; it is not part of the contents.
	Version int32
}

// Encode returns the contents of the partition's node.
func (s *PartitionState) Encode() []byte {
	dst := append(make([]byte, 0, 96+4*len(s.ISR)), `{"controller_epoch":`...)
	dst = strconv.AppendInt(dst, int64(s.ControllerEpoch), 10)
	dst = append(dst, `,"leader":`...)
	dst = strconv.AppendInt(dst, int64(s.Leader), 10)
	dst = append(dst, `,"version":1,"leader_epoch":`...)
	dst = strconv.AppendInt(dst, int64(s.LeaderEpoch), 10)
	dst = append(dst, `,"isr":`...)
	dst = appendIDs(dst, s.ISR)
	if s.Recovering {
		dst = append(dst, `,"leader_recovery_state":1`...)
	}
	return append(dst, '}')
}

// DecodePartitionState returns the state in data and stat.
func DecodePartitionState(data []byte, stat Stat) (PartitionState, error) {
	s, err := decodePartitionState(data)
	if err != nil {
		return PartitionState{}, malformed("partition state", data, err)
	}
	s.Version = stat.Version
	return s, nil
}

func decodePartitionState(data []byte) (s PartitionState, err error) {
	o, err := parseObject(data)
	if err != nil {
		return s, err
	}
	if s.Leader, err = required[int32](o, "leader"); err != nil {
		return s, err
	}
	if s.LeaderEpoch, err = required[int32](o, "leader_epoch"); err != nil {
		return s, err
	}
	isr, err := required[idList](o, "isr")
	if err != nil {
		return s, err
	}
	s.ISR = isr
	if s.ControllerEpoch, err = required[int32](o, "controller_epoch"); err != nil {
		return s, err
	}
	recovery := int32(0)
	if _, given := o["leader_recovery_state"]; given {
		if recovery, err = required[int32](o, "leader_recovery_state"); err != nil {
			return s, err
		}
	}
	if recovery != 0 && recovery != 1 {
		return s, fmt.Errorf("unknown leader recovery state %d", recovery)
	}
	s.Recovering = recovery == 1
	return s, nil
}
