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
	return c.takeSeat(ctx, session, broker, next,
		CreateModeOp(ControllerPath, node.Encode(), Ephemeral),
		SetOp(ControllerEpochPath, EncodeControllerEpoch(next.Epoch), version))
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

// ReplaceController makes broker the controller in place of the one of session, which is known to be dead. If ControllerPath is
// not that one's, or not any more, the error wraps ErrControllerMoved. Now is the time in ms.
//
// The node cannot be told from its successor by its own version, which is 0 for every controller. But it is replaced
// in one transaction with the raising of ControllerEpochPath, as which each election creates it, too. Since the epoch is read
// first, a controller that is elected after that read makes the transaction fail, and one that was elected before is the one whose
// session is looked at. Deleting the node alone would give it back, perhaps, to who is taken for dead and lives.
func (c *Client) ReplaceController(ctx context.Context, session int64, broker int32, now int64) (Fence, error) {
	own := c.SessionID()
	if own == 0 {
		return Fence{}, &Error{Op: "replace", Path: ControllerPath, Err: ErrSessionExpired}
	}
	ctx = WithSession(ctx, own)
	epoch, version, err := c.ControllerEpoch(ctx)
	if err != nil {
		return Fence{}, err
	}
	_, stat, ok, err := c.Controller(ctx, nil)
	if err != nil {
		return Fence{}, err
	}
	if !ok || stat.EphemeralOwner != session {
		return Fence{}, &Error{Op: "replace", Path: ControllerPath, Err: ErrControllerMoved}
	}
	node := ControllerNode{BrokerID: broker, Timestamp: now, KRaftEpoch: -1}
	return c.takeSeat(ctx, own, broker, Fence{Epoch: epoch + 1, Version: version + 1}, DeleteOp(ControllerPath, stat.Version),
		CreateModeOp(ControllerPath, node.Encode(), Ephemeral),
		SetOp(ControllerEpochPath, EncodeControllerEpoch(epoch+1), version))
}

// takeSeat carries out the transaction that makes broker the controller of session with next, whose last operation raises the
// epoch.
func (c *Client) takeSeat(ctx context.Context, session int64, broker int32, next Fence, ops ...Op) (Fence, error) {
	results, err := c.Multi(ctx, ops...)
	if err == nil {
		next.Version = results[len(ops)-1].Stat.Version
		return next, nil
	}
	if !isNodeExists(err) && !isBadVersion(err) && !isNoNode(err) {
		return Fence{}, err
	}
	return c.ownElection(ctx, session, broker, next)
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
