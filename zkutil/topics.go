package zkutil

import (
	"context"
	"errors"
)

// TopicResult is what came of reading one topic.
type TopicResult struct {
	Name  string
	Topic *Topic // nil if Err is not
	Err   error  // wraps ErrNoNode if there is no such topic
}

// TopicNames returns the names of all topics, in order. W, unless it is nil, is called when one is
// created or deleted.
func (c *Client) TopicNames(ctx context.Context, w *Watcher) ([]string, error) {
	names, _, err := c.ChildrenW(ctx, TopicsPath, w)
	return names, err
}

// Topic returns one topic; the error wraps ErrNoNode if there is none.
func (c *Client) Topic(ctx context.Context, name string) (*Topic, error) {
	r := c.Topics(ctx, []string{name}, nil)[0]
	return r.Topic, r.Err
}

// Topics reads many topics, in the order of names. W, unless it is nil, is called when one of them is
// changed or deleted.
func (c *Client) Topics(ctx context.Context, names []string, w *Watcher) []TopicResult {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = TopicPath(name)
	}
	results := make([]TopicResult, len(names))
	for i, r := range c.GetAllW(ctx, paths, w) {
		results[i] = TopicResult{Name: names[i], Err: r.Err}
		if r.Err == nil {
			results[i].Topic, results[i].Err = DecodeTopic(names[i], r.Data, r.Stat)
		}
	}
	return results
}

// CreateTopic writes a topic's configuration, even if that is empty, and then its node, from which the
// controller learns of it. It is not atomic. If the topic exists the error wraps ErrNodeExists; its
// configuration has been replaced then, so check first (AdminZkClient.createTopicWithAssignment).
func (c *Client) CreateTopic(ctx context.Context, t *Topic, config map[string]string) error {
	if err := c.WriteConfig(ctx, TopicEntity(t.Name), config); err != nil {
		return err
	}
	_, err := c.Create(ctx, TopicPath(t.Name), t.Encode(), Persistent)
	return err
}

// AddPartitions writes a topic that has grown, if its node has the version t.Version, and returns the new
// version. Kafka writes whatever the version is.
func (c *Client) AddPartitions(ctx context.Context, t *Topic) (version int32, err error) {
	stat, err := c.Set(ctx, TopicPath(t.Name), t.Encode(), t.Version)
	return stat.Version, err
}

// UpdateTopics writes topics, each on condition that f holds, and returns their new versions in the Stat of
// the results. What others have written meanwhile is overwritten if a topic's Version is AnyVersion.
func (c *Client) UpdateTopics(ctx context.Context, f Fence, topics ...*Topic) ([]Result, error) {
	ops := make([]Op, len(topics))
	for i, t := range topics {
		ops[i] = SetOp(TopicPath(t.Name), t.Encode(), t.Version)
	}
	return c.Fenced(ctx, f, ops...)
}

// RequestTopicDeletion asks the controller to delete a topic. Having been asked already is no error.
func (c *Client) RequestTopicDeletion(ctx context.Context, name string) error {
	_, err := c.CreateRecursive(ctx, DeleteTopicPath(name), nil, Persistent)
	if isNodeExists(err) {
		return nil
	}
	return err
}

// TopicDeletions returns the topics that shall be deleted, in order. W, unless it is nil, is called when
// that changes.
func (c *Client) TopicDeletions(ctx context.Context, w *Watcher) ([]string, error) {
	names, _, err := c.ChildrenW(ctx, DeleteTopicsPath, w)
	return names, err
}

// DeleteTopic removes a topic whose replicas are gone: its node with all below, its configuration, the wish
// to delete it; in this order, so that a controller who takes over in between finds the wish and does it
// again. Each step is done on condition that f holds.
func (c *Client) DeleteTopic(ctx context.Context, f Fence, name string) error {
	if err := c.deleteTreeFenced(ctx, f, TopicPath(name)); err != nil {
		return err
	}
	for _, path := range []string{TopicEntity(name).Path(), DeleteTopicPath(name)} {
		if err := c.DeleteFenced(ctx, f, path); err != nil {
			return err
		}
	}
	return nil
}

// DeleteFenced removes nodes without children on condition that f holds. Absent ones are no error.
func (c *Client) DeleteFenced(ctx context.Context, f Fence, paths ...string) error {
	ops := make([]Op, len(paths))
	for i, path := range paths {
		ops[i] = DeleteOp(path, AnyVersion)
	}
	results, err := c.Fenced(ctx, f, ops...)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !isNoNode(r.Err) {
			return r.Err
		}
	}
	return nil
}

func (c *Client) deleteTreeFenced(ctx context.Context, f Fence, path string) error {
	for {
		tree, err := c.tree(ctx, path)
		if err != nil {
			return err
		}
		for i := len(tree) - 1; i >= 0 && err == nil; i-- {
			err = c.DeleteFenced(ctx, f, tree[i]...)
		}
		if !errors.Is(err, ErrNotEmpty) {
			return err
		}
	}
}
