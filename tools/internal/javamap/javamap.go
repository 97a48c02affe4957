// Package javamap orders keys as a java.util.HashMap or Scala's maps list them. Some of Kafka's tools print in that
// order; who compares their output with ours finds the lines where they were.
package javamap

import (
	"cmp"
	"math/bits"
	"slices"
	"unicode/utf16"

	"github.com/gregor-mq/gregor/broker/topic"
)

const defaultCapacity = 16

// HashString returns String.hashCode().
func HashString(s string) int32 {
	var hash int32
	for _, unit := range utf16.Encode([]rune(s)) {
		hash = 31*hash + int32(unit)
	}
	return hash
}

// HashPartition returns TopicPartition.hashCode().
func HashPartition(p topic.Partition) int32 { return 31*(31+p.Index) + HashString(p.Topic) }

// HashInt returns Integer.hashCode().
func HashInt(n int32) int32 { return n }

// Sort puts keys, which must be in the order they were inserted and without duplicates, into the order
// of a HashMap that was made for capacity entries (new HashMap<>(capacity)); a capacity below 0 means
// that none was asked for. Buckets of eight and more keys, which Java turns into trees, keep the order
// of insertion.
func Sort[K any](keys []K, capacity int, hash func(K) int32) {
	buckets := defaultCapacity
	if capacity >= 0 {
		buckets = 1 << bits.Len(uint(max(capacity, 1)-1))
	}
	for len(keys) > buckets*3/4 {
		buckets *= 2
	}
	bucket := func(key K) int {
		h := uint32(hash(key))
		return int(h^h>>16) & (buckets - 1)
	}
	slices.SortStableFunc(keys, func(a, b K) int { return bucket(a) - bucket(b) })
}

// Set returns keys without duplicates in the order of a HashSet that was made of a collection (new
// HashSet<>(keys)).
func Set[K comparable](keys []K, hash func(K) int32) []K {
	seen := map[K]bool{}
	var set []K
	for _, key := range keys {
		if !seen[key] {
			seen[key] = true
			set = append(set, key)
		}
	}
	Sort(set, max(len(keys)*4/3+1, defaultCapacity), hash)
	return set
}

// SortScala puts keys, in the order they were inserted and without duplicates, into the order of Scala's mutable
// HashMap and HashSet.
func SortScala[K any](keys []K, hash func(K) int32) {
	buckets := defaultCapacity
	for len(keys) >= buckets*3/4 {
		buckets *= 2
	}
	improved := func(key K) int32 {
		h := uint32(hash(key))
		return int32(h ^ h>>16)
	}
	slices.SortStableFunc(keys, func(a, b K) int {
		ha, hb := improved(a), improved(b)
		return cmp.Or(cmp.Compare(int(ha)&(buckets-1), int(hb)&(buckets-1)), cmp.Compare(ha, hb))
	})
}
