package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/gregor-mq/gregor/zkutil"
)

// writeAssignments writes what pick says of moves into the nodes of their topics. What those say of partitions that
// this controller does not know yet, because they were added a moment ago, stays.
func (c *core) writeAssignments(ctx context.Context, moves []*move, pick func(m *move) zkutil.Assignment) error {
	var topics []*topicState
	of := map[*topicState][]*move{}
	for _, m := range moves {
		if of[m.topic] == nil {
			topics = append(topics, m.topic)
		}
		of[m.topic] = append(of[m.topic], m)
	}
	for len(topics) > 0 {
		paths := make([]string, len(topics))
		for i, t := range topics {
			paths[i] = zkutil.TopicPath(t.name)
		}
		nodes, err := c.zk.Get(ctx, false, paths...)
		if err != nil {
			return err
		}
		var writes []write
		var written []*topicState
		for i, t := range topics {
			node, err := t.assigned(&nodes[i])
			if err != nil {
				failAll(of[t], fmt.Errorf("read the topic's assignment: %w", err))
				continue
			}
			for _, m := range of[t] {
				node.Partitions[m.Index] = pick(m)
			}
			writes = append(writes, write{kind: setNode, path: paths[i], data: node.Encode(), version: node.Version})
			written = append(written, t)
		}
		outcomes, err := c.writeAll(ctx, writes)
		if err != nil {
			return err
		}
		topics = topics[:0]
		for i, t := range written {
			switch err := outcomes[i].err; {
			case err == nil:
				for _, m := range of[t] {
					c.log.WithFields(m.fields()).Infof("Successfully updated assignment of partition to %+v", pick(m))
				}
			case errors.Is(err, zkutil.ErrBadVersion):
				topics = append(topics, t)
			default:
				failAll(of[t], fmt.Errorf("update the topic's assignment: %w", err))
			}
		}
	}
	return nil
}

// assigned returns t's node as it is found in n, with what is known here of its partitions.
func (t *topicState) assigned(n *znode) (*zkutil.Topic, error) {
	if n.err != nil {
		return nil, n.err
	}
	node, err := zkutil.DecodeTopic(t.name, n.data, n.stat)
	if err != nil {
		return nil, err
	}
	if !t.id.IsZero() {
		node.ID = t.id
	}
	for _, p := range t.partitions {
		node.Partitions[p.Index] = p.Assignment
	}
	return node, nil
}

func failAll(moves []*move, err error) {
	for _, m := range moves {
		m.failed = err
	}
}
