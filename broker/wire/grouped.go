package wire

import "github.com/gregor-mq/gregor/broker/topic"

// What the requests and responses have in common that list partitions by topic, and are pooled. All partitions are in
// one slice, of which each topic has a part.

// A pooled request or response keeps the memory of at most this many partitions.
const pooledPartitions = 4096

// emptied returns s without its elements, and without its memory if that is too much for a pool.
func emptied[E any](s []E) []E {
	if cap(s) > pooledPartitions {
		return nil
	}
	clear(s) // they may point into a connection's buffer
	return s[:0]
}

// regroup gives each topic its part of all. While all grew it may have moved, so that what topics have until
// then has only the right length.
func regroup[T, P any](topics []T, all []P, of func(*T) *[]P) {
	first := 0
	for i := range topics {
		part := of(&topics[i])
		end := first + len(*part)
		*part = all[first:end:end]
		first = end
	}
}

// answers are the partitions of a response by topic, in the order of the request.
type answers[P any] struct {
	topics     []answeredTopic
	partitions []P
}

type answeredTopic struct {
	name string
	id   topic.ID // of a Fetch
	end  int      // of its partitions
}

// Topic begins the next topic. name must be safe to keep.
func (a *answers[P]) Topic(name string) { a.begin(name, topic.ID{}) }

// begin is Topic for an API that names topics by id as well.
func (a *answers[P]) begin(name string, id topic.ID) {
	a.topics = append(a.topics, answeredTopic{name, id, len(a.partitions)})
}

// add adds a partition to the topic begun last. The pointer is valid until the next call.
func (a *answers[P]) add(p P) *P {
	a.partitions = append(a.partitions, p)
	a.topics[len(a.topics)-1].end = len(a.partitions)
	return &a.partitions[len(a.partitions)-1]
}

// of returns the partitions of the i-th topic.
func (a *answers[P]) of(i int) []P {
	first := 0
	if i > 0 {
		first = a.topics[i-1].end
	}
	return a.partitions[first:a.topics[i].end]
}

// emptied returns a for the next response.
func (a *answers[P]) emptied() answers[P] {
	return answers[P]{emptied(a.topics), emptied(a.partitions)}
}
