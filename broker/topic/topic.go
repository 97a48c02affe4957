//lint:file-ignore ST1005 The texts are Kafka's, which clients show as they come.

// Package topic names topics and their partitions: identities, ids and the rules for names.
//
// It is the one package of the broker that every other one may import.
package topic

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/excerpt"
)

// Partition identifies one partition of one topic.
type Partition struct {
	Topic string
	Index int32
}

// String returns the form that Kafka prints and names directories with: topic-index.
func (p Partition) String() string {
	return p.Topic + "-" + strconv.Itoa(int(p.Index))
}

// Compare orders partitions by topic, then index.
func (p Partition) Compare(q Partition) int {
	return cmp.Or(strings.Compare(p.Topic, q.Topic), cmp.Compare(p.Index, q.Index))
}

// The topics that the brokers keep for themselves (Topic.java).
const (
	ConsumerOffsets  = "__consumer_offsets"
	TransactionState = "__transaction_state"
	ClusterMetadata  = "__cluster_metadata"
)

// IsInternal reports whether clients may neither write to nor delete records from name.
func IsInternal(name string) bool {
	return name == ConsumerOffsets || name == TransactionState
}

// MaxNameLength is the longest topic name in bytes. With a partition number and the suffix of a
// pending deletion it still fits into a file name.
const MaxNameLength = 249

// shownName is how much of a refused name the error shows, in bytes.
const shownName = 1 << 10

// ValidateName returns nil if name may name a topic, and otherwise an error with the text that
// Kafka answers (Topic.validate), but for names that are too long by far: some answers have it for each partition.
func ValidateName(name string) error {
	shown := excerpt.Of(name, shownName)
	switch {
	case name == "":
		return fmt.Errorf("Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return fmt.Errorf("Topic name is invalid: '%s' is not allowed", name)
	case len(name) > MaxNameLength:
		return fmt.Errorf("Topic name is invalid: the length of '%s' is longer than the max allowed length %d", shown, MaxNameLength)
	}
	for i := range len(name) {
		if !legal(name[i]) {
			return fmt.Errorf("Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", shown)
		}
	}
	return nil
}

func legal(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// Unify maps the names that would share a metric name to one: '.' becomes '_' (Topic.unifyCollisionChars).
func Unify(name string) string { return strings.ReplaceAll(name, ".", "_") }
