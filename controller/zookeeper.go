package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/zkutil"
)

// zookeeper is znodes over a zkutil.Client. Its watcher hears of what was read with watch.
type zookeeper struct {
	client  *zkutil.Client
	watcher *zkutil.Watcher
}

func (z *zookeeper) watcherIf(watch bool) *zkutil.Watcher {
	if watch {
		return z.watcher
	}
	return nil
}

// Get implements znodes.
func (z *zookeeper) Get(ctx context.Context, watch bool, paths ...string) ([]znode, error) {
	nodes := make([]znode, len(paths))
	for i, r := range z.client.GetAllW(ctx, paths, z.watcherIf(watch)) {
		if r.Err != nil && !errors.Is(r.Err, zkutil.ErrNoNode) {
			return nil, r.Err
		}
		nodes[i] = znode{data: r.Data, stat: r.Stat, err: r.Err}
	}
	return nodes, nil
}

// Await implements znodes.
func (z *zookeeper) Await(ctx context.Context, path string) (znode, error) {
	found, _, err := z.client.ExistsW(ctx, path, z.watcher)
	if err != nil || !found {
		return znode{err: zkutil.ErrNoNode}, err
	}
	nodes, err := z.Get(ctx, false, path)
	if err != nil {
		return znode{}, err
	}
	return nodes[0], nil
}

// Children implements znodes.
func (z *zookeeper) Children(ctx context.Context, watch bool, path string) ([]string, error) {
	children, _, err := z.client.ChildrenW(ctx, path, z.watcherIf(watch))
	if errors.Is(err, zkutil.ErrNoNode) {
		return nil, nil
	}
	return children, err
}

// Write implements znodes.
func (z *zookeeper) Write(ctx context.Context, f zkutil.Fence, groups [][]write) ([][]outcome, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	ops := make([][]zkutil.Op, len(groups))
	for i, group := range groups {
		ops[i] = make([]zkutil.Op, len(group))
		for j := range group {
			ops[i][j] = group[j].op()
		}
	}
	results, err := z.client.FencedGroups(ctx, f, ops)
	if err != nil {
		return nil, err
	}
	outcomes := make([][]outcome, len(groups))
	for i := range results {
		outcomes[i] = make([]outcome, len(results[i]))
		for j, r := range results[i] {
			if r.Err != nil && !ofNode(r.Err) {
				return nil, r.Err
			}
			outcomes[i][j] = outcome{version: r.Stat.Version, err: r.Err}
		}
	}
	return outcomes, nil
}

func (w *write) op() zkutil.Op {
	switch w.kind {
	case setNode:
		return zkutil.SetOp(w.path, w.data, w.version)
	case deleteNode:
		return zkutil.DeleteOp(w.path, w.version)
	}
	return zkutil.CreateOp(w.path, w.data)
}

// ofNode reports whether err is ZooKeeper's answer about one node. Other errors are about the
// connection or the session, and no other write has fared better.
func ofNode(err error) bool {
	return slices.ContainsFunc([]error{zkutil.ErrNoNode, zkutil.ErrNodeExists, zkutil.ErrBadVersion, zkutil.ErrNotEmpty,
		zkutil.ErrNoAuth, zkutil.ErrInvalidPath, zkutil.ErrTooLarge}, func(target error) bool { return errors.Is(err, target) })
}

// watched maps the change of a znode to the event that handles it.
func (c *Controller) watched(e zkutil.Event) {
	switch {
	case e.Path == zkutil.BrokerIDsPath:
		c.putActive("BrokerChange", (*core).brokerChange)
	case e.Path == zkutil.TopicsPath:
		c.putActive("TopicChange", (*core).topicChange)
	case e.Path == zkutil.DeleteTopicsPath:
		c.putActive("TopicDeletion", (*core).topicDeletion)
	case e.Path == zkutil.ReassignmentPath:
		c.putActive("ZkPartitionReassignment", (*core).reassignmentWishes)
	case e.Path == zkutil.PreferredElectionPath:
		c.putActive("PreferredReplicaElection", (*core).preferredElectionWish)
	case e.Path == zkutil.ISRChangesPath:
		c.putActive("IsrChangeNotification", (*core).isrChange)
	case e.Path == zkutil.LogDirEventsPath:
		c.putActive("LogDirEventNotification", (*core).logDirEvent)
	case e.Type != zkutil.DataChanged: // that a topic or broker is gone shows in the lists
	default:
		if name, ok := strings.CutPrefix(e.Path, zkutil.TopicsPath+"/"); ok {
			c.putActive("PartitionModifications("+name+")", func(core *core, ctx context.Context) error {
				return core.partitionModifications(ctx, name)
			})
		}
		if id, ok := brokerIDOf(e.Path); ok {
			c.putActive(fmt.Sprintf("BrokerModifications(%d)", id), func(core *core, ctx context.Context) error {
				return core.brokerModification(ctx, id)
			})
		}
	}
}
