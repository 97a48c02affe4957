package zkutil

import (
	"fmt"
	"strconv"
	"strings"
)

// Where the controller is known, and how often there was a new one.
const (
	ControllerPath      = "/controller"
	ControllerEpochPath = "/controller_epoch"
)

// ControllerNode is the contents of ControllerPath (ControllerZNode), which is ephemeral.
type ControllerNode struct {
	BrokerID  int32
	Timestamp int64 // of the election, in ms
	// KRaftEpoch is the epoch of a KRaft controller that a cluster is migrating to; -1 for none, which
	// is what a broker writes.
	KRaftEpoch int32
}

// Encode returns the contents of ControllerPath, version 2 of the encoding.
func (n ControllerNode) Encode() []byte {
	return fmt.Appendf(nil, `{"version":2,"brokerid":%d,"timestamp":"%d","kraftControllerEpoch":%d}`,
		n.BrokerID, n.Timestamp, n.KRaftEpoch)
}

// DecodeController returns the contents of ControllerPath, in version 1 or 2 of the encoding.
func DecodeController(data []byte) (ControllerNode, error) {
	var n ControllerNode
	o, err := parseObject(data)
	if err == nil {
		n.BrokerID, err = required[int32](o, "brokerid")
	}
	if err == nil {
		n.KRaftEpoch, err = optional(o, "kraftControllerEpoch", int32(-1))
	}
	if err != nil {
		return ControllerNode{}, malformed("controller", data, err)
	}
	if text, err := optional(o, "timestamp", ""); err == nil {
		n.Timestamp, _ = strconv.ParseInt(text, 10, 64) // Kafka does not read it
	}
	return n, nil
}

// EncodeControllerEpoch returns the contents of ControllerEpochPath, which are not JSON.
func EncodeControllerEpoch(epoch int32) []byte { return strconv.AppendInt(nil, int64(epoch), 10) }

// DecodeControllerEpoch returns the controller epoch.
func DecodeControllerEpoch(data []byte) (int32, error) {
	epoch, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 32)
	if err != nil {
		return 0, malformed("controller epoch", data, err)
	}
	return int32(epoch), nil
}
