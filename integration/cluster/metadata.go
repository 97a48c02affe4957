package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AwaitBrokers waits until every running broker knows every running broker, and the controller.
func (c *Cluster) AwaitBrokers() {
	c.t.Helper()
	running := c.running()
	for _, b := range running {
		c.awaitMetadata(b, nil, fmt.Sprintf("complete list of brokers on broker %d", b.ID()), func(m *kmsg.MetadataResponse) bool {
			known := make(map[int32]bool)
			for _, broker := range m.Brokers {
				known[broker.NodeID] = true
			}
			for _, other := range running {
				if !known[other.ID()] {
					return false
				}
			}
			return m.ControllerID >= 0
		})
	}
}

// AwaitTopic waits until every running broker knows a leader of every partition of the topic.
func (c *Cluster) AwaitTopic(topic string) {
	c.t.Helper()
	for _, b := range c.running() {
		c.awaitMetadata(b, []string{topic}, fmt.Sprintf("leaders of %s on broker %d", topic, b.ID()), func(m *kmsg.MetadataResponse) bool {
			if len(m.Topics) != 1 || m.Topics[0].ErrorCode != 0 {
				return false
			}
			for _, p := range m.Topics[0].Partitions {
				if p.ErrorCode != 0 || p.Leader < 0 {
					return false
				}
			}
			return len(m.Topics[0].Partitions) > 0
		})
	}
}

func (c *Cluster) running() []*Broker {
	var running []*Broker
	for _, b := range c.brokers {
		if b.PID() != 0 {
			running = append(running, b)
		}
	}
	return running
}

// awaitMetadata asks b, and only b, for metadata until done is content with the answer. No topics
// are created by asking.
func (c *Cluster) awaitMetadata(b *Broker, topics []string, what string, done func(*kmsg.MetadataResponse) bool) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), c.dialer(), kgo.RetryTimeout(time.Second))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{} // none, not all
	for _, topic := range topics {
		request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(topic)})
	}
	c.Await(what, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		response, err := client.SeedBrokers()[0].Request(ctx, request)
		if err != nil {
			return false
		}
		metadata, ok := response.(*kmsg.MetadataResponse)
		return ok && done(metadata)
	})
}
