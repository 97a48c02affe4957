package server

import (
	"context"
	"errors"
	"strconv"

	"github.com/gregor-mq/gregor/broker/api/admin"
	"github.com/gregor-mq/gregor/zkutil"
)

// store is admin.Store over ZooKeeper.
type store struct{ zk *zkutil.Client }

// TopicNames implements admin.Store.
func (s store) TopicNames(ctx context.Context) ([]string, error) {
	return s.zk.TopicNames(ctx, nil)
}

// MarkedForDeletion implements admin.Store.
func (s store) MarkedForDeletion(ctx context.Context) ([]string, error) {
	return s.zk.TopicDeletions(ctx, nil)
}

// CreateTopics implements admin.Store: for each topic the configuration, then the topic's node. The
// configurations of all are written before the first topic, so that no controller sees a topic
// without one; a configuration that is left over from an earlier topic is replaced.
func (s store) CreateTopics(ctx context.Context, topics []admin.NewTopic) []error {
	configs := make([]zkutil.Op, len(topics))
	for i, t := range topics {
		configs[i] = zkutil.CreateOp(zkutil.TopicEntity(t.Name).Path(), zkutil.EncodeConfig(t.Config))
	}
	errs := make([]error, len(topics))
	for i, r := range s.zk.Do(ctx, configs...) {
		if errs[i] = r.Err; errors.Is(r.Err, zkutil.ErrNodeExists) {
			_, errs[i] = s.zk.Set(ctx, configs[i].Path(), zkutil.EncodeConfig(topics[i].Config), -1)
		}
		if errors.Is(errs[i], zkutil.ErrTooLarge) {
			errs[i] = admin.ErrTooMuchConfig
		}
	}
	var nodes []zkutil.Op
	var at []int
	for i, t := range topics {
		if errs[i] == nil {
			nodes, at = append(nodes, zkutil.CreateOp(zkutil.TopicPath(t.Name), topicNode(t).Encode())), append(at, i)
		}
	}
	for i, r := range s.zk.Do(ctx, nodes...) {
		switch errs[at[i]] = r.Err; {
		case errors.Is(r.Err, zkutil.ErrNodeExists):
			errs[at[i]] = admin.ErrTopicExists
		case errors.Is(r.Err, zkutil.ErrTooLarge):
			errs[at[i]] = admin.ErrTooManyPartitions
		}
	}
	return errs
}

func topicNode(t admin.NewTopic) *zkutil.Topic {
	node := &zkutil.Topic{Name: t.Name, ID: t.ID, Partitions: make(map[int32]zkutil.Assignment, len(t.Replicas))}
	for i, replicas := range t.Replicas {
		node.Partitions[int32(i)] = zkutil.Assignment{Replicas: replicas}
	}
	return node
}

// DeleteTopics implements admin.Store.
func (s store) DeleteTopics(ctx context.Context, names []string) []error {
	ops := make([]zkutil.Op, len(names))
	for i, name := range names {
		ops[i] = zkutil.CreateOp(zkutil.DeleteTopicPath(name), nil)
	}
	errs := make([]error, len(names))
	for i, r := range s.zk.Do(ctx, ops...) {
		if !errors.Is(r.Err, zkutil.ErrNodeExists) {
			errs[i] = r.Err
		}
	}
	return errs
}

// Assignment implements admin.Store.
func (s store) Assignment(ctx context.Context, name string) (admin.Assignment, error) {
	t, err := s.zk.Topic(ctx, name)
	if errors.Is(err, zkutil.ErrNoNode) {
		return admin.Assignment{}, admin.ErrNoTopic
	}
	if err != nil {
		return admin.Assignment{}, pathError(err)
	}
	a := admin.Assignment{ID: t.ID, Version: t.Version, Replicas: make(map[int32][]int32, len(t.Partitions))}
	for index, p := range t.Partitions {
		a.Replicas[index] = p.Replicas
		a.Reassigning = a.Reassigning || p.Reassigning()
	}
	return a, nil
}

// SetPartitions implements admin.Store.
func (s store) SetPartitions(ctx context.Context, name string, a admin.Assignment) error {
	t := &zkutil.Topic{Name: name, ID: a.ID, Version: a.Version, Partitions: make(map[int32]zkutil.Assignment, len(a.Replicas))}
	for index, replicas := range a.Replicas {
		t.Partitions[index] = zkutil.Assignment{Replicas: replicas}
	}
	_, err := s.zk.AddPartitions(ctx, t)
	switch {
	case errors.Is(err, zkutil.ErrBadVersion):
		return admin.ErrChanged
	case errors.Is(err, zkutil.ErrTooLarge):
		return admin.ErrTooManyPartitions
	}
	return err
}

// TopicConfigs implements admin.Store.
func (s store) TopicConfigs(ctx context.Context, names []string) ([]map[string]string, error) {
	entities := make([]zkutil.Entity, len(names))
	for i, name := range names {
		entities[i] = zkutil.TopicEntity(name)
	}
	configs := make([]map[string]string, len(names))
	for i, r := range s.zk.Configs(ctx, entities) {
		if r.Err != nil {
			return nil, r.Err
		}
		configs[i] = r.Config
	}
	return configs, nil
}

// Config implements admin.Store.
func (s store) Config(ctx context.Context, r admin.Resource) (map[string]string, error) {
	config, err := s.zk.Config(ctx, entity(r))
	return config, pathError(err)
}

// pathError returns err, or an *admin.InvalidPath in place of what says that a path is none.
func pathError(err error) error {
	if e, ok := errors.AsType[*zkutil.PathError](err); ok {
		return &admin.InvalidPath{Text: e.Error()}
	}
	return err
}

// ChangeConfig implements admin.Store.
func (s store) ChangeConfig(ctx context.Context, r admin.Resource, config map[string]string) error {
	e := entity(r)
	err := s.zk.ChangeConfig(ctx, e, config)
	switch {
	case errors.Is(err, zkutil.ErrNoController):
		return admin.NoController(e.Type(), e.Name())
	case errors.Is(err, zkutil.ErrTooLarge):
		return admin.ErrTooMuchConfig
	}
	return err
}

func entity(r admin.Resource) zkutil.Entity {
	switch {
	case r.IsTopic():
		return zkutil.TopicEntity(r.Name)
	case r.Name == "":
		return zkutil.DefaultBrokers
	}
	id, _ := strconv.ParseInt(r.Name, 10, 32) // the handler has checked it
	return zkutil.BrokerEntity(int32(id))
}

var _ admin.Store = store{}
