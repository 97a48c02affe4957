package consume

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javaregex"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// subscription are the topics whose whole name matches what --include says. As Kafka's consumer, it looks for them at
// the start and every metadata.max.age.ms, and gives those up that are no longer there.
type subscription struct {
	pattern  *javaregex.Pattern
	internal bool // the brokers' own topics, too (exclude.internal.topics)
	interval time.Duration
	consumed map[string]bool
}

// lookAgain is when topics are looked for again if no broker has answered.
const lookAgain = time.Second

// subscribe checks what is to be consumed, and returns the subscription if topics are included.
func (r *request) subscribe(config *clientconf.Config) (*subscription, error) {
	if !r.included {
		return nil, r.checkTopic(config)
	}
	pattern, err := javaregex.Compile(r.include)
	if err != nil {
		return nil, throwable.New(throwable.PatternSyntax, err.Error())
	}
	if r.include == "" {
		return nil, throwable.New(throwable.IllegalArgument, "Topic pattern to subscribe to cannot be empty")
	}
	if err := checkAssigned(config); err != nil {
		return nil, err
	}
	return &subscription{
		pattern:  pattern,
		internal: !config.Bool("exclude.internal.topics"),
		interval: max(config.Millis("metadata.max.age.ms"), time.Second),
		consumed: map[string]bool{},
	}, nil
}

// follow keeps to the topics that match until ctx ends. An error says that nobody knows which do.
func (s *subscription) follow(ctx context.Context, client *kgo.Client) error {
	for {
		wait := s.interval
		resp, err := allTopics().RequestWith(ctx, client)
		if err != nil {
			wait = lookAgain
		} else if err := s.update(client, resp.Topics); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func allTopics() *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil // all
	return req
}

// topicSet is the part of a client that a subscription changes.
type topicSet interface {
	AddConsumeTopics(topics ...string)
	PurgeTopicsFromConsuming(topics ...string)
}

// update adds topics that are new and takes those away that are gone.
func (s *subscription) update(client topicSet, topics []kmsg.MetadataResponseTopic) error {
	gone := maps.Clone(s.consumed)
	var added []string
	for _, t := range topics {
		if t.Topic == nil || t.ErrorCode == kerr.UnknownTopicOrPartition.Code || t.IsInternal && !s.internal {
			continue
		}
		name := *t.Topic
		if s.consumed[name] {
			delete(gone, name)
			continue
		}
		matches, err := s.pattern.Match(name)
		if err != nil {
			return throwable.New(throwable.Runtime, err.Error())
		}
		if matches {
			s.consumed[name] = true
			added = append(added, name)
		}
	}
	for name := range gone {
		delete(s.consumed, name)
	}
	client.PurgeTopicsFromConsuming(slices.Sorted(maps.Keys(gone))...)
	client.AddConsumeTopics(added...)
	return nil
}

// checkTopic refuses a topic without a name, as Kafka's consumer does.
func (r *request) checkTopic(config *clientconf.Config) error {
	switch {
	case r.topic == "" && r.one:
		return throwable.New(throwable.IllegalArgument, "Topic partitions to assign to cannot have null or empty topic")
	case r.topic == "":
		return throwable.New(throwable.IllegalArgument, "Topic collection to subscribe to cannot contain null or empty topic")
	case r.one:
		return nil
	}
	return checkAssigned(config)
}

// checkAssigned refuses to subscribe without an assignor.
func checkAssigned(config *clientconf.Config) error {
	if strings.EqualFold(config.String("group.protocol"), "classic") && len(config.List("partition.assignment.strategy")) == 0 {
		return throwable.New(throwable.IllegalState,
			"Must configure at least one partition assigner class name to partition.assignment.strategy configuration property")
	}
	return nil
}
