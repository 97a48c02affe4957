package zkutil

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// RegisterBroker makes the ephemeral node of b and returns the broker epoch, the node's czxid. The node
// lasts as long as the session; register again on Subscriber.Renewed.
//
// A node that is there already is accepted if it is of this session, replaced if it is of an earlier
// session in which this Client registered (ZOOKEEPER-2985, KAFKA-7165), and otherwise an error that wraps
// ErrNodeExists: another process lives, or has died less than its session timeout ago (KafkaZkClient
// .registerBroker, CheckedEphemeral).
func (c *Client) RegisterBroker(ctx context.Context, b *Broker) (epoch int64, err error) {
	session := c.SessionID()
	if session == 0 {
		return 0, &Error{Op: "register", Path: BrokerPath(b.ID), Err: ErrSessionExpired}
	}
	ctx = WithSession(ctx, session)
	path := BrokerPath(b.ID)
	for {
		// The set is there because its answer has the Stat that the answer to a create lacks.
		results, err := c.Multi(ctx, CreateModeOp(path, nil, Ephemeral), SetOp(path, b.Encode(), 0))
		if err == nil {
			c.registeredIn.Store(session)
			return results[1].Stat.Czxid, nil
		}
		if !isNodeExists(err) {
			return 0, err
		}
		exists, stat, readErr := c.Exists(ctx, path)
		switch {
		case readErr != nil:
			return 0, readErr
		case !exists: // it has gone in this moment
		case stat.EphemeralOwner == session:
			c.registeredIn.Store(session)
			return stat.Czxid, nil
		case stat.EphemeralOwner == c.registeredIn.Load():
			if err := c.Delete(ctx, path, AnyVersion); err != nil && !isNoNode(err) {
				return 0, err
			}
		default:
			return 0, &Error{Op: "register", Path: path, Err: fmt.Errorf("%w and its owner, session 0x%x, is not this session, 0x%x",
				ErrNodeExists, uint64(stat.EphemeralOwner), uint64(session))}
		}
	}
}

// CheckAdvertised returns an error if another broker has registered one of b's addresses
// (KafkaServer.createBrokerInfo).
func (c *Client) CheckAdvertised(ctx context.Context, b *Broker) error {
	brokers, err := c.Brokers(ctx, nil)
	if err != nil {
		return err
	}
	for _, other := range brokers {
		if other.ID == b.ID {
			continue
		}
		for _, e := range b.Endpoints {
			if slices.ContainsFunc(other.Endpoints, func(o Endpoint) bool { return o.Address() == e.Address() }) {
				return fmt.Errorf("advertised listener %s is already registered by broker %d", e, other.ID)
			}
		}
	}
	return nil
}

// UpdateBrokerInfo replaces the contents of b's node, as a change of the advertised listeners does. The
// broker epoch stays.
func (c *Client) UpdateBrokerInfo(ctx context.Context, b *Broker) error {
	_, err := c.Set(ctx, BrokerPath(b.ID), b.Encode(), AnyVersion)
	return err
}

// Broker returns the registration of broker id; the error wraps ErrNoNode if there is none.
func (c *Client) Broker(ctx context.Context, id int32) (*Broker, error) {
	data, stat, err := c.Get(ctx, BrokerPath(id))
	if err != nil {
		return nil, err
	}
	return DecodeBroker(id, data, stat)
}

// BrokerIDs returns the ids of the brokers that are registered, in order. W, unless it is nil, is called
// when one comes or goes.
func (c *Client) BrokerIDs(ctx context.Context, w *Watcher) ([]int32, error) {
	children, _, err := c.ChildrenW(ctx, BrokerIDsPath, w)
	if err != nil {
		return nil, err
	}
	ids := make([]int32, 0, len(children))
	for _, child := range children {
		id, err := strconv.ParseInt(child, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", Join(BrokerIDsPath, child), err)
		}
		ids = append(ids, int32(id))
	}
	slices.Sort(ids)
	return ids, nil
}

// Brokers returns the registrations of all brokers, by id. W, unless it is nil, is called when one comes
// or goes; changed registrations it does not hear of.
func (c *Client) Brokers(ctx context.Context, w *Watcher) ([]*Broker, error) {
	ids, err := c.BrokerIDs(ctx, w)
	if err != nil {
		return nil, err
	}
	ops := make([]Op, len(ids))
	for i, id := range ids {
		ops[i] = GetOp(BrokerPath(id))
	}
	brokers := make([]*Broker, 0, len(ids))
	for i, r := range c.Do(ctx, ops...) {
		if isNoNode(r.Err) {
			continue // it went in this moment
		}
		if r.Err != nil {
			return nil, r.Err
		}
		b, err := DecodeBroker(ids[i], r.Data, r.Stat)
		if err != nil {
			return nil, err
		}
		brokers = append(brokers, b)
	}
	return brokers, nil
}

// GenerateBrokerID returns an id that no broker has, above reservedMax (reserved.broker.max.id): how
// often ids were drawn is the data version of a node (KafkaZkClient.generateBrokerSequenceId).
func (c *Client) GenerateBrokerID(ctx context.Context, reservedMax int32) (int32, error) {
	for {
		stat, err := c.Set(ctx, BrokerSequencePath, []byte{}, AnyVersion)
		if err == nil {
			return reservedMax + stat.Version, nil
		}
		if !errors.Is(err, ErrNoNode) {
			return 0, err
		}
		if _, err := c.CreateRecursive(ctx, BrokerSequencePath, nil, Persistent); err != nil && !isNodeExists(err) {
			return 0, err
		}
	}
}
