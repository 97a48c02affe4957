package client

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Topics returns what a cluster says of topics, their partitions by number, and the errors of those of
// which it says nothing.
func (a *Admin) Topics(ctx context.Context, names []string) (map[string]kmsg.MetadataResponseTopic, map[string]error, error) {
	found, failed := map[string]kmsg.MetadataResponseTopic{}, map[string]error{}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		if name == "" {
			failed[name] = unrepresentableTopic(name)
			continue
		}
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
		failed[name] = throwable.FromCode(kerr.UnknownTopicOrPartition.Code, kmsg.StringPtr("Topic "+name+" not found."))
	}
	resp, err := a.Metadata(ctx, "listNodes", req) // Kafka's client asks for the nodes first
	if err != nil {
		return nil, nil, err
	}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if err := throwable.FromCode(t.ErrorCode, nil); err != nil {
			failed[*t.Topic] = err
			continue
		}
		slices.SortFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return cmp.Compare(a.Partition, b.Partition) })
		found[*t.Topic] = t
		delete(failed, *t.Topic)
	}
	return found, failed, nil
}
