package admin

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// CreateTopics creates topics, versions 0 to 7, and answers once their partitions have leaders.
func (h *Handlers) CreateTopics(r *request.Request) {
	req := kmsg.NewPtrCreateTopicsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	c := &creation{h: h, req: req, resp: resp}
	c.list()
	if !h.IsController() {
		c.failAll(kerr.NotController)
	} else if err := c.run(); err != nil {
		c.failAll(err)
	}
	r.Reply(resp)
}

// creation is one CreateTopics on its way: topics[i] is answered by resp.Topics[i].
type creation struct {
	h    *Handlers
	req  *kmsg.CreateTopicsRequest
	resp *kmsg.CreateTopicsResponse

	asked []*kmsg.CreateTopicsRequestTopic
	made  []NewTopic
	at    []int // places in the response of what is made
}

// list gives every topic of the request its place in the response. Names that come twice are refused
// in all their places, as by Kafka.
func (c *creation) list() {
	times := map[string]int{}
	for i := range c.req.Topics {
		times[c.req.Topics[i].Topic]++
	}
	for i := range c.req.Topics {
		t := &c.req.Topics[i]
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic = t.Topic
		switch {
		case t.Topic == topic.ClusterMetadata:
			c.fail(&out, status.New(kerr.InvalidRequest, "Creation of internal topic "+topic.ClusterMetadata+" is prohibited."))
		case times[t.Topic] > 1:
			c.fail(&out, status.New(kerr.InvalidRequest, "Found multiple entries for this topic."))
		}
		c.resp.Topics = append(c.resp.Topics, out)
		c.asked = append(c.asked, t)
	}
}

// fail answers one topic with err and nothing else.
func (c *creation) fail(out *kmsg.CreateTopicsResponseTopic, err error) {
	code, message := c.h.failed("CreateTopics", out.Topic, err)
	fresh := kmsg.NewCreateTopicsResponseTopic()
	fresh.Topic, fresh.ErrorCode, fresh.ErrorMessage = out.Topic, code, message
	fresh.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	*out = fresh
}

func (c *creation) failAll(err error) {
	for i := range c.resp.Topics {
		c.fail(&c.resp.Topics[i], err)
		if c.resp.Topics[i].ErrorMessage == nil {
			c.resp.Topics[i].ErrorMessage = kmsg.StringPtr("")
		}
	}
}

func (c *creation) run() error {
	ctx, cancel := c.h.storeContext()
	defer cancel()
	e, err := c.h.existing(ctx)
	if err != nil {
		return err
	}
	c.prepare(e)
	if c.req.ValidateOnly || len(c.made) == 0 {
		return nil
	}
	c.write(ctx)
	c.await()
	return nil
}

// prepare checks every topic and describes those that are in order.
func (c *creation) prepare(e *existing) {
	for i := range c.resp.Topics {
		out := &c.resp.Topics[i]
		if out.ErrorCode != 0 {
			continue
		}
		made, err := c.h.prepare(e, c.asked[i])
		if err != nil {
			c.h.Logger.WithField("topic", out.Topic).WithError(err).Info("error processing create topic request")
			c.fail(out, err)
			continue
		}
		e.add(made.Name)
		out.TopicID = made.ID
		if c.req.ValidateOnly {
			out.TopicID = topic.ID{}
		}
		out.NumPartitions, out.ReplicationFactor = int32(len(made.Replicas)), int16(len(made.Replicas[0]))
		out.Configs = c.h.createdConfigs(made.Config)
		c.made = append(c.made, made)
		c.at = append(c.at, i)
	}
}

// createdConfigs lists all properties of a new topic (KIP-525).
func (h *Handlers) createdConfigs(overrides map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	effective, err := h.Config().Topic(overrides)
	if err != nil {
		return nil // cannot be: the overrides are validated
	}
	entries := effective.Describe(h.Config())
	configs := make([]kmsg.CreateTopicsResponseTopicConfig, len(entries))
	for i, e := range entries {
		configs[i] = kmsg.NewCreateTopicsResponseTopicConfig()
		configs[i].Name, configs[i].Value = e.Name, e.Value
		configs[i].Source, configs[i].IsSensitive = int8(e.Source), e.Sensitive
	}
	return configs
}

// write creates the znodes and forgets the topics for which that failed.
func (c *creation) write(ctx context.Context) {
	errs := c.h.Store.CreateTopics(ctx, c.made)
	made, at := c.made[:0], c.at[:0]
	for i, err := range errs {
		if err != nil {
			if status.Code(err) == kerr.TopicAlreadyExists.Code {
				err = exists(c.made[i].Name)
			}
			c.fail(&c.resp.Topics[c.at[i]], err)
			continue
		}
		made, at = append(made, c.made[i]), append(at, c.at[i])
	}
	c.made, c.at = made, at
}

// await waits until every topic is complete in this broker's metadata; the others timed out.
func (c *creation) await() {
	for _, i := range c.h.await(c.req.TimeoutMillis, len(c.made), func(s *metadata.Snapshot, i int) bool { return complete(s, &c.made[i]) }) {
		out := &c.resp.Topics[c.at[i]]
		c.fail(out, kerr.RequestTimedOut)
		out.TopicID = c.made[i].ID // the topic is there, or will be
	}
}

// complete reports whether all partitions of t have leaders.
func complete(s *metadata.Snapshot, t *NewTopic) bool {
	known := s.Topic(t.Name)
	if known == nil || len(known.Partitions) < len(t.Replicas) {
		return false
	}
	for _, p := range known.Partitions {
		if p.Leader < 0 {
			return false
		}
	}
	return true
}
