package controller

import (
	"slices"
	"strconv"
	"strings"
)

// Texts in which Kafka prints collections of broker ids, as Scala 2.13 does it.

// buffer writes the list ids.
func buffer(ids []int32) string { return "ArrayBuffer(" + join(ids) + ")" }

func join(ids []int32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.Itoa(int(id))
	}
	return strings.Join(words, ", ")
}

// scalaSet writes the set ids, made by filtering the keys of a mutable map: up to four stay in the order of
// that map's 16 buckets, more are in the order of a trie of hashes.
func scalaSet(ids []int32) string {
	if len(ids) > 4 {
		return "HashSet(" + join(trieOrder(ids, 0)) + ")"
	}
	ids = slices.Clone(ids)
	slices.SortStableFunc(ids, func(a, b int32) int { return int(a&15) - int(b&15) })
	return "Set(" + join(ids) + ")"
}

// trieOrder returns ids in the order of immutable.HashSet: of each node first the elements that have a place of
// their own in it, then those of the nodes below.
func trieOrder(ids []int32, shift int) []int32 {
	var places [32][]int32
	for _, id := range ids {
		place := hash(id) >> shift & 31
		places[place] = append(places[place], id)
	}
	var own, below []int32
	for _, at := range places {
		switch {
		case len(at) == 1:
			own = append(own, at[0])
		case len(at) > 1:
			below = append(below, trieOrder(at, shift+5)...)
		}
	}
	return append(own, below...)
}

// hash is Scala's Hashing.improve.
func hash(id int32) uint32 {
	h := uint32(id)
	h += ^(h << 9)
	h ^= h >> 14
	h += h << 4
	return h ^ h>>10
}
