package produce

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

const (
	networkClient = "org.apache.kafka.clients.NetworkClient"
	metadataClass = "org.apache.kafka.clients.Metadata"
)

// topicMetadata is what is known of the topic. It is replaced, never changed.
type topicMetadata struct {
	id      topic.ID
	count   int             // partitions; 0: nothing is known yet
	leaders map[int32]int32 // by partition; those without a leader are missing
	read    time.Time
}

// led returns the partitions that have a leader.
func (m topicMetadata) led() []int32 {
	led := make([]int32, 0, len(m.leaders))
	for index := range m.leaders {
		led = append(led, index)
	}
	return led
}

// ensureMetadata returns what is known of the topic, and asks for it first if nothing is known, for at most
// max.block.ms. What is older than metadata.max.age.ms is read anew meanwhile.
func (p *producer) ensureMetadata(ctx context.Context) (topicMetadata, error) {
	known := p.known()
	if known.count > 0 {
		if time.Since(known.read) > p.settings.metadata {
			p.refreshSoon(ctx)
		}
		return known, nil
	}
	absent := throwable.Newf(throwable.Timeout, "Topic %s not present in metadata after %d ms.", p.topic, p.settings.maxBlock.Milliseconds())
	if p.settings.maxBlock == 0 {
		return known, absent
	}
	interrupted := ctx
	ctx, cancel := context.WithTimeout(ctx, p.settings.maxBlock)
	defer cancel()
	for wait := p.settings.backoff; ; wait = min(2*wait, time.Second) {
		err := p.read(ctx)
		if known := p.known(); err == nil && known.count > 0 {
			return known, nil
		}
		switch throwable.Code(err) {
		case kerr.InvalidTopicException.Code:
			p.env.Log("ERROR", metadataClass, fmt.Sprintf("%sMetadata response reported invalid topics [%s]", p.settings.logContext, p.topic))
			return known, throwable.New(throwable.InvalidTopic, "Invalid topics: ["+p.topic+"]")
		case kerr.TopicAuthorizationFailed.Code:
			return known, throwable.New("org.apache.kafka.common.errors.TopicAuthorizationException",
				"Not authorized to access topics: ["+p.topic+"]")
		}
		if ctx.Err() != nil || !pause(ctx, wait) {
			if interrupted.Err() != nil {
				return known, uncaught{context.Cause(interrupted)}
			}
			return known, absent
		}
	}
}

func (p *producer) known() topicMetadata {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.topic
}

// leader returns the leader of a partition and the topic's id.
func (p *producer) leader(index int32) (leader int32, id topic.ID, ok bool) {
	known := p.known()
	leader, ok = known.leaders[index]
	return leader, known.id, ok
}

// refresh reads the metadata anew, or waits for somebody who is about it: when a broker is gone, thousands of senders ask.
// If that fails, the old holds.
func (p *producer) refresh(ctx context.Context) {
	p.mu.Lock()
	reading := p.mu.reading
	if reading == nil {
		p.mu.reading = make(chan struct{})
	}
	p.mu.Unlock()
	if reading != nil {
		select {
		case <-reading:
		case <-ctx.Done():
		}
		return
	}
	if p.nodes.mayTry(anyNode) {
		ctx, cancel := context.WithTimeout(ctx, p.settings.request)
		defer cancel()
		err := p.read(ctx) // whoever needs what is new will find it missing, and ask again
		p.nodes.tried(anyNode, err == nil || throwable.Code(err) != 0)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.mu.reading)
	p.mu.reading = nil
}

// refreshSoon is refresh without the wait, until ctx ends.
func (p *producer) refreshSoon(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.reading == nil {
		p.refreshing.Go(func() { p.refresh(ctx) })
	}
}

// read asks for the topic, which creates it where topics are created by use, and keeps the answer.
func (p *producer) read(ctx context.Context) error {
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(p.topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, t)
	req.AllowAutoTopicCreation = true
	asked := p.requests.Add(1)
	resp, err := p.client.Request(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if t.Topic == nil || *t.Topic != p.topic {
			continue
		}
		if failure := kerr.TypedErrorForCode(t.ErrorCode); failure != nil {
			p.env.Log("WARN", networkClient, fmt.Sprintf("%sThe metadata response from the cluster reported a recoverable "+
				"issue with correlation id %d : {%s=%s}", p.settings.logContext, asked, p.topic, failure.Message))
			return throwable.FromCode(t.ErrorCode, nil)
		}
		p.keep(t)
		return nil
	}
	return errors.New("the broker's answer lacks the topic " + p.topic)
}

func (p *producer) keep(t kmsg.MetadataResponseTopic) {
	m := topicMetadata{id: t.TopicID, count: len(t.Partitions), leaders: map[int32]int32{}, read: time.Now()}
	for _, partition := range t.Partitions {
		if partition.Leader >= 0 && partition.ErrorCode != kerr.LeaderNotAvailable.Code {
			m.leaders[partition.Partition] = partition.Leader
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.topic = m
}
