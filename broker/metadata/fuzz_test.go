package metadata

import (
	"cmp"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// FuzzApply applies two requests of any version and content: a snapshot stays in order and is found
// by name, index and id.
func FuzzApply(f *testing.F) {
	first := update(state("a", topic.ID{1}, part(2, 1), part(0, 1)), state("b", topic.ID{}, part(0, -1)))
	second := update(state("a", topic.ID{2}, part(2, -2), part(1, 1), part(1, 3)))
	for version := int16(0); version <= 8; version++ {
		first.Version, second.Version = version, version
		f.Add(version, first.AppendTo(nil), second.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, one, two []byte) {
		var c Cache
		for _, body := range [][]byte{one, two} {
			req := kmsg.NewPtrUpdateMetadataRequest()
			if wire.DecodeBody(req, req.Key(), version, body) == nil {
				c.Apply(req)
			}
		}
		s := c.Load()
		count := 0
		for tp := range s.Topics() {
			count++
			if s.Topic(tp.Name) != tp || len(tp.Partitions) == 0 {
				t.Errorf("topic %q is not found, or has no partition", tp.Name)
			}
			if !slices.IsSortedFunc(tp.Partitions, func(a, b *Partition) int { return cmp.Compare(a.Index, b.Index) }) {
				t.Errorf("the partitions of %q are not in order", tp.Name)
			}
			for _, p := range tp.Partitions {
				if s.Partition(topic.Partition{Topic: tp.Name, Index: p.Index}) != p {
					t.Errorf("%s-%d is not found, or there twice", tp.Name, p.Index)
				}
			}
			// Two topics with one id do not come from a controller; one of them is found then.
			if !tp.ID.IsZero() && s.TopicByID(tp.ID) != nil && s.TopicByID(tp.ID).ID != tp.ID {
				t.Errorf("id %s finds a topic with another", tp.ID)
			}
		}
		if count != s.NumTopics() {
			t.Errorf("%d topics are listed, %d counted", count, s.NumTopics())
		}
	})
}
