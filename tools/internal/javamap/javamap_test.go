package javamap

import (
	"slices"
	"strconv"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
)

func TestHash(t *testing.T) {
	for text, want := range map[string]int32{"": 0, "orders": -1008770331, "défault": 1028884541, "\U0001F600": 1772899} {
		if got := HashString(text); got != want {
			t.Errorf("hash of %q is %d, want %d", text, got, want)
		}
	}
	if got := HashPartition(topic.Partition{Topic: "orders", Index: 1}); got != 31*32-1008770331 {
		t.Errorf("hash of orders-1 is %d", got)
	}
}

// TestSort checks orders seen of Kafka's tools.
func TestSort(t *testing.T) {
	topics := []string{"defaults", "logs", "my_topic.v1", "orders", "placed"}
	Sort(topics, len(topics), HashString)
	if want := []string{"orders", "placed", "defaults", "logs", "my_topic.v1"}; !slices.Equal(topics, want) {
		t.Errorf("topics are in the order %v, want %v", topics, want)
	}

	partitions := []topic.Partition{{Topic: "orders", Index: 0}, {Topic: "orders", Index: 1}, {Topic: "logs", Index: 0}}
	Sort(partitions, -1, HashPartition)
	if want := []topic.Partition{{Topic: "logs", Index: 0}, {Topic: "orders", Index: 0}, {Topic: "orders", Index: 1}}; !slices.Equal(partitions, want) {
		t.Errorf("partitions are in the order %v, want %v", partitions, want)
	}
}

// TestSortKeepsAll checks that every number of keys and every capacity is sorted, not lost.
func TestSortKeepsAll(t *testing.T) {
	for n := range 100 {
		for _, capacity := range []int{-1, 0, 1, n, 1000} {
			keys := make([]string, n)
			for i := range keys {
				keys[i] = "topic-" + strconv.Itoa(i)
			}
			sorted := slices.Clone(keys)
			Sort(sorted, capacity, HashString)
			slices.Sort(sorted)
			slices.Sort(keys)
			if !slices.Equal(sorted, keys) {
				t.Fatalf("%d keys, capacity %d: got %v", n, capacity, sorted)
			}
		}
	}
}

func TestSet(t *testing.T) {
	got := Set([]string{"b", "a", "b", "c", "a"}, HashString)
	if want := []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
