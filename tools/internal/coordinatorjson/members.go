package coordinatorjson

import "github.com/twmb/franz-go/pkg/kmsg"

// consumerProtocol is the protocol type of groups whose members Kafka can decode.
const consumerProtocol = "consumer"

// subscription is ConsumerProtocolSubscription; older versions lack what comes last.
type subscription struct {
	Topics          []string          `json:"topics"`
	UserData        []byte            `json:"userData"`
	OwnedPartitions *[]topicPartition `json:"ownedPartitions,omitempty"`
	GenerationID    *int32            `json:"generationId,omitempty"`
	RackID          **string          `json:"rackId,omitempty"`
}

// assignment is ConsumerProtocolAssignment.
type assignment struct {
	AssignedPartitions []topicPartition `json:"assignedPartitions"`
	UserData           []byte           `json:"userData"`
}

type topicPartition struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// DecodeMembers replaces what members subscribe to and are assigned by what it says, if the group is one of consumers.
// What cannot be read stays as it is.
func (g *Group) DecodeMembers() {
	if g.ProtocolType != consumerProtocol {
		return
	}
	for i := range g.Members {
		m := &g.Members[i]
		if raw, ok := m.Subscription.([]byte); ok {
			if decoded, err := decodeSubscription(raw); err == nil {
				m.Subscription = decoded
			}
		}
		if raw, ok := m.Assignment.([]byte); ok {
			if decoded, err := decodeAssignment(raw); err == nil {
				m.Assignment = decoded
			}
		}
	}
}

func decodeSubscription(raw []byte) (subscription, error) {
	read := kmsg.NewConsumerMemberMetadata()
	if err := read.ReadFrom(raw); err != nil {
		return subscription{}, err
	}
	s := subscription{Topics: orEmpty(read.Topics), UserData: read.UserData}
	if read.Version >= 1 {
		owned := []topicPartition{}
		for _, p := range read.OwnedPartitions {
			owned = append(owned, topicPartition{p.Topic, orEmpty(p.Partitions)})
		}
		s.OwnedPartitions = &owned
	}
	if read.Version >= 2 {
		s.GenerationID = &read.Generation
	}
	if read.Version >= 3 {
		s.RackID = &read.Rack
	}
	return s, nil
}

func decodeAssignment(raw []byte) (assignment, error) {
	read := kmsg.NewConsumerMemberAssignment()
	if err := read.ReadFrom(raw); err != nil {
		return assignment{}, err
	}
	a := assignment{AssignedPartitions: []topicPartition{}, UserData: read.UserData}
	for _, p := range read.Topics {
		a.AssignedPartitions = append(a.AssignedPartitions, topicPartition{p.Topic, orEmpty(p.Partitions)})
	}
	return a, nil
}

// orEmpty keeps an empty list from being printed as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
