// Package coordinatorjson turns the records of __consumer_offsets into JSON, with the names of fields and in the order of
// Kafka's message schemas.
package coordinatorjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of keys.
const (
	OffsetKeyMax    = 1 // keys up to this are of OffsetCommitKey
	GroupKeyVersion = 2 // GroupMetadataKey
)

// ValueMax is the latest version of OffsetCommitValue and GroupMetadataValue.
const ValueMax = 4

// Version returns the version that a key or value begins with, -1 if it is too short to have one.
func Version(field []byte) int16 {
	if len(field) < 2 {
		return -1
	}
	return int16(binary.BigEndian.Uint16(field))
}

// Marshal returns the JSON of v as Jackson writes it: without spaces, and without regard for HTML.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// OffsetKey is OffsetCommitKey.
type OffsetKey struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// DecodeOffsetKey reads a key of a version up to OffsetKeyMax.
func DecodeOffsetKey(field []byte) (OffsetKey, error) {
	key := kmsg.NewOffsetCommitKey()
	err := key.ReadFrom(field)
	return OffsetKey{key.Group, key.Topic, key.Partition}, err
}

// Offset is OffsetCommitValue.
type Offset struct {
	Offset          int64  `json:"offset"`
	LeaderEpoch     *int32 `json:"leaderEpoch,omitempty"`
	Metadata        string `json:"metadata"`
	CommitTimestamp int64  `json:"commitTimestamp"`
	ExpireTimestamp *int64 `json:"expireTimestamp,omitempty"`
}

// DecodeOffset reads the value behind an OffsetKey, of a version up to ValueMax.
func DecodeOffset(field []byte) (Offset, error) {
	value := kmsg.NewOffsetCommitValue()
	err := value.ReadFrom(field)
	printed := Offset{Offset: value.Offset, Metadata: value.Metadata, CommitTimestamp: value.CommitTimestamp}
	if value.Version >= 3 {
		printed.LeaderEpoch = &value.LeaderEpoch
	}
	if value.Version == 1 {
		printed.ExpireTimestamp = &value.ExpireTimestamp
	}
	return printed, err
}

// GroupKey is GroupMetadataKey.
type GroupKey struct {
	Group string `json:"group"`
}

// DecodeGroupKey reads a key of version GroupKeyVersion.
func DecodeGroupKey(field []byte) (GroupKey, error) {
	key := kmsg.NewGroupMetadataKey()
	err := key.ReadFrom(field)
	return GroupKey{key.Group}, err
}

// Group is GroupMetadataValue.
type Group struct {
	ProtocolType          string   `json:"protocolType"`
	Generation            int32    `json:"generation"`
	Protocol              *string  `json:"protocol"`
	Leader                *string  `json:"leader"`
	CurrentStateTimestamp *int64   `json:"currentStateTimestamp,omitempty"`
	Members               []Member `json:"members"`
}

// Member is a member of a group from version 3 on; older ones lack fields.
type Member struct {
	MemberID         string           `json:"memberId"`
	GroupInstanceID  *json.RawMessage `json:"groupInstanceId,omitempty"`
	ClientID         string           `json:"clientId"`
	ClientHost       string           `json:"clientHost"`
	RebalanceTimeout *int32           `json:"rebalanceTimeout,omitempty"`
	SessionTimeout   int32            `json:"sessionTimeout"`
	Subscription     any              `json:"subscription"` // []byte, until DecodeMembers
	Assignment       any              `json:"assignment"`   // []byte, until DecodeMembers
}

// DecodeGroup reads the value behind a GroupKey, of a version up to ValueMax.
func DecodeGroup(field []byte) (Group, error) {
	value := kmsg.NewGroupMetadataValue()
	if err := value.ReadFrom(field); err != nil {
		return Group{}, err
	}
	printed := Group{ProtocolType: value.ProtocolType, Generation: value.Generation, Protocol: value.Protocol,
		Leader: value.Leader, Members: []Member{}}
	if value.Version >= 2 {
		printed.CurrentStateTimestamp = &value.CurrentStateTimestamp
	}
	for _, m := range value.Members {
		member := Member{MemberID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			SessionTimeout: m.SessionTimeoutMillis, Subscription: m.Subscription, Assignment: m.Assignment}
		if value.Version >= 1 {
			member.RebalanceTimeout = &m.RebalanceTimeoutMillis
		}
		if value.Version >= 3 {
			id, err := json.Marshal(m.InstanceID)
			if err != nil {
				return Group{}, err
			}
			member.GroupInstanceID = (*json.RawMessage)(&id)
		}
		printed.Members = append(printed.Members, member)
	}
	return printed, nil
}
