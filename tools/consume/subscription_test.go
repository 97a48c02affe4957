package consume

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/javaregex"
)

// topicsConsumed are the topics of a client.
type topicsConsumed map[string]bool

func (c topicsConsumed) AddConsumeTopics(topics ...string) {
	for _, name := range topics {
		c[name] = true
	}
}

func (c topicsConsumed) PurgeTopicsFromConsuming(topics ...string) {
	for _, name := range topics {
		delete(c, name)
	}
}

func (c topicsConsumed) String() string {
	var names []string
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// metadata returns topics as a broker names them: internal ones begin with underscores, and "?" marks one that is gone.
func metadata(names string) (topics []kmsg.MetadataResponseTopic) {
	for name := range strings.FieldsSeq(names) {
		t := kmsg.NewMetadataResponseTopic()
		known := strings.TrimSuffix(name, "?")
		t.Topic, t.IsInternal = &known, strings.HasPrefix(name, "__consumer")
		if known != name {
			t.ErrorCode = kerr.UnknownTopicOrPartition.Code
		}
		topics = append(topics, t)
	}
	return topics
}

func TestSubscriptionFollowsTopics(t *testing.T) {
	tests := []struct {
		pattern  string
		internal bool
		seen     []string // at one look after the other
		want     []string
	}{
		{"ord.*", false, []string{"orders logs", "orders logs ordinals", "logs ordinals"}, []string{"orders", "orders ordinals", "ordinals"}},
		{"orders", false, []string{"orders", "orders?", "orders"}, []string{"orders", "", "orders"}},
		{".*", false, []string{"a __consumer_offsets __mine"}, []string{"__mine a"}},
		{"__.*", true, []string{"a __consumer_offsets __mine"}, []string{"__consumer_offsets __mine"}},
		{"(?!a)[a-z&&[^x]]++", false, []string{"a ab b bx"}, []string{"b"}},
	}
	for _, tt := range tests {
		pattern, err := javaregex.Compile(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		s := &subscription{pattern: pattern, internal: tt.internal, consumed: map[string]bool{}}
		consumed := topicsConsumed{}
		for i, names := range tt.seen {
			if err := s.update(consumed, metadata(names)); err != nil {
				t.Fatal(err)
			}
			if consumed.String() != tt.want[i] {
				t.Errorf("%s: of %q %q are consumed, want %q", tt.pattern, names, consumed, tt.want[i])
			}
		}
	}
}

func TestSubscriptionThatTakesTooLong(t *testing.T) {
	pattern, err := javaregex.Compile(`(?:(a|aa)+)\1?b`)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscription{pattern: pattern, consumed: map[string]bool{}}
	if err := s.update(topicsConsumed{}, metadata(strings.Repeat("a", 200))); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("%v", err)
	}
}
