package zkutil

import (
	"context"
	"errors"
)

// Fence is the right of one controller to write: its epoch, and the data version that
// ControllerEpochPath got when it took office. It is lost as soon as another controller takes office.
type Fence struct {
	Epoch   int32
	Version int32
}

// Guard returns the check that every write of the controller is tied to.
func (f Fence) Guard() Op { return CheckOp(ControllerEpochPath, f.Version) }

// Controller returns the contents and Stat of ControllerPath, and whether there is a controller. W, unless
// it is nil, is called when that changes.
func (c *Client) Controller(ctx context.Context, w *Watcher) (node ControllerNode, stat Stat, ok bool, err error) {
	for {
		exists, _, err := c.ExistsW(ctx, ControllerPath, w)
		if err != nil || !exists {
			return ControllerNode{}, Stat{}, false, err
		}
		data, stat, err := c.Get(ctx, ControllerPath)
		if isNoNode(err) {
			continue // it went in this moment; watch for the next one
		}
		if err != nil {
			return ControllerNode{}, Stat{}, false, err
		}
		node, err := DecodeController(data)
		return node, stat, err == nil, err
	}
}

// ControllerEpoch returns the controller epoch and the version of its node; the error wraps ErrNoNode if
// there was never a controller.
func (c *Client) ControllerEpoch(ctx context.Context) (epoch, version int32, err error) {
	data, stat, err := c.Get(ctx, ControllerEpochPath)
	if err != nil {
		return 0, 0, err
	}
	epoch, err = DecodeControllerEpoch(data)
	return epoch, stat.Version, err
}

// ElectController tries to make broker the controller and, if that succeeds, returns its Fence. If another
// one is controller, the error wraps ErrControllerMoved; read Controller first, with a watch, to spare the
// attempt. Now is the time in ms.
//
// The node and the next epoch are written as one transaction, so that there never is a controller without
// an epoch of its own (registerControllerAndIncrementControllerEpoch). Kafka compares broker ids to see
// whether a refused transaction was its own, lost answer; here the owner of the node decides, so that a
// node left by an earlier session of this broker is not taken for success.
func (c *Client) ElectController(ctx context.Context, broker int32, now int64) (Fence, error) {
	session := c.SessionID()
	if session == 0 {
		return Fence{}, &Error{Op: "elect", Path: ControllerPath, Err: ErrSessionExpired}
	}
	ctx = WithSession(ctx, session)
	epoch, version, err := c.controllerEpochOrZero(ctx)
	if err != nil {
		return Fence{}, err
	}
	next := Fence{Epoch: epoch + 1, Version: version + 1}
	node := ControllerNode{BrokerID: broker, Timestamp: now, KRaftEpoch: -1}
	results, err := c.Multi(ctx,
		CreateModeOp(ControllerPath, node.Encode(), Ephemeral),
		SetOp(ControllerEpochPath, EncodeControllerEpoch(next.Epoch), version))
	if err == nil {
		next.Version = results[1].Stat.Version
		return next, nil
	}
	if !isNodeExists(err) && !isBadVersion(err) {
		return Fence{}, err
	}
	return c.ownElection(ctx, session, broker, next)
}

// ownElection looks whether the controller that stands in the way is this session's own.
func (c *Client) ownElection(ctx context.Context, session int64, broker int32, next Fence) (Fence, error) {
	node, stat, ok, err := c.Controller(ctx, nil)
	if err != nil {
		return Fence{}, err
	}
	epoch, version, err := c.ControllerEpoch(ctx)
	if err != nil {
		return Fence{}, err
	}
	if ok && node.BrokerID == broker && stat.EphemeralOwner == session && epoch == next.Epoch {
		return Fence{Epoch: epoch, Version: version}, nil
	}
	return Fence{}, &Error{Op: "elect", Path: ControllerPath, Err: ErrControllerMoved}
}

// controllerEpochOrZero returns the epoch and its version, and begins with epoch 0 if there is none.
func (c *Client) controllerEpochOrZero(ctx context.Context) (epoch, version int32, err error) {
	for {
		epoch, version, err = c.ControllerEpoch(ctx)
		if !isNoNode(err) {
			return epoch, version, err
		}
		_, err = c.Create(ctx, ControllerEpochPath, EncodeControllerEpoch(0), Persistent)
		if err != nil && !isNodeExists(err) {
			return 0, 0, err
		}
	}
}

// Resign deletes ControllerPath if f still holds, so that another controller is elected. That someone else
// is controller already is no error.
func (c *Client) Resign(ctx context.Context, f Fence) error {
	results, err := c.Fenced(ctx, f, DeleteOp(ControllerPath, AnyVersion))
	if errors.Is(err, ErrControllerMoved) {
		return nil
	}
	if err != nil || isNoNode(results[0].Err) {
		return err
	}
	return results[0].Err
}

// Depose deletes ControllerPath if it is, still, that of session, so that another controller is elected. That somebody
// else is controller already, or nobody, is no error; it reports whether it has deleted the node.
//
// The node is not told from its successor by its own version, which is 0 for every controller: it is deleted in one
// transaction with a check of ControllerEpochPath, which each election raises along with creating the node. Since the
// epoch is read first, a controller that is elected after that read makes the check fail, and one that was elected
// before it is the one whose session is looked at.
func (c *Client) Depose(ctx context.Context, session int64) (done bool, err error) {
	epoch, version, err := c.ControllerEpoch(ctx)
	if err != nil {
		return false, err
	}
	_, stat, ok, err := c.Controller(ctx, nil)
	if err != nil || !ok || stat.EphemeralOwner != session {
		return false, err
	}
	results, err := c.Fenced(ctx, Fence{Epoch: epoch, Version: version}, DeleteOp(ControllerPath, stat.Version))
	if err == nil {
		err = results[0].Err
	}
	if errors.Is(err, ErrControllerMoved) || isNoNode(err) {
		return false, nil
	}
	return err == nil, err
}

// Fenced carries out the writes ops, which do not depend on each other, each on condition that f holds,
// and returns the result of each. If f no longer holds the error wraps ErrControllerMoved, and so do the
// results of the operations that were not done; other errors are in the results only.
//
// Kafka sends one multi for each operation; here many share one, see MultiBatch. What is to be seen in
// ZooKeeper is the same, except that several changes have one zxid.
func (c *Client) Fenced(ctx context.Context, f Fence, ops ...Op) ([]Result, error) {
	results, err := c.MultiBatch(ctx, f.Guard(), ops)
	moved := controllerMoved(err)
	for i := range results {
		results[i].Err = controllerMoved(results[i].Err)
	}
	return results, moved
}

// FencedGroups is Fenced for groups of operations that must be done in order, see MultiGroups.
func (c *Client) FencedGroups(ctx context.Context, f Fence, groups [][]Op) ([][]Result, error) {
	results, err := c.MultiGroups(ctx, f.Guard(), groups)
	moved := controllerMoved(err)
	for i := range results {
		for j := range results[i] {
			results[i][j].Err = controllerMoved(results[i][j].Err)
		}
	}
	return results, moved
}

// controllerMoved turns the failure of a Guard into ErrControllerMoved and leaves other errors as they are.
func controllerMoved(err error) error {
	failed, ok := errors.AsType[*Error](err)
	if ok && failed.Op == kindCheck.String() && failed.Path == ControllerEpochPath && (isBadVersion(err) || isNoNode(err)) {
		return &Error{Op: failed.Op, Path: failed.Path, Err: ErrControllerMoved}
	}
	return err
}
