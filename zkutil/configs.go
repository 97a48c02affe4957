package zkutil

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoController reports that a configuration cannot be written since there is no controller, or one
// that is not ours to follow: a KRaft controller, to which the cluster is migrating.
var ErrNoController = errors.New("no ZooKeeper controller")

// ConfigResult is what came of reading one entity's configuration.
type ConfigResult struct {
	Entity Entity
	Config map[string]string // empty if the entity has none
	Err    error
}

// Config returns the configuration of e, empty if it has none.
func (c *Client) Config(ctx context.Context, e Entity) (map[string]string, error) {
	r := c.Configs(ctx, []Entity{e})[0]
	return r.Config, r.Err
}

// Configs reads the configurations of many entities, in the order given.
func (c *Client) Configs(ctx context.Context, entities []Entity) []ConfigResult {
	paths := make([]string, len(entities))
	for i, e := range entities {
		paths[i] = e.Path()
	}
	results := make([]ConfigResult, len(entities))
	for i, r := range c.GetAll(ctx, paths) {
		results[i] = ConfigResult{Entity: entities[i], Config: map[string]string{}}
		switch {
		case isNoNode(r.Err):
		case r.Err != nil:
			results[i].Err = r.Err
		default:
			results[i].Config, results[i].Err = DecodeConfig(r.Data)
		}
	}
	return results
}

// Entities returns all entities of a type that have a node: "topics", "brokers", "clients", "ips", or
// "users", which includes users with client ids.
func (c *Client) Entities(ctx context.Context, entityType string) ([]Entity, error) {
	names, err := c.entityNames(ctx, entityType)
	if err != nil {
		return nil, err
	}
	var entities []Entity
	for _, name := range names {
		e := entityKind(entityType).of(name)
		entities = append(entities, e)
		if entityType != string(userEntities) {
			continue
		}
		clients, err := c.entityNames(ctx, string(e)+"/"+string(clientEntities))
		if err != nil {
			return nil, err
		}
		for _, client := range clients {
			entities = append(entities, e+"/"+clientEntities.of(client))
		}
	}
	return entities, nil
}

func (c *Client) entityNames(ctx context.Context, parent string) ([]string, error) {
	names, _, err := c.Children(ctx, ConfigPath+"/"+parent)
	if isNoNode(err) {
		return nil, nil
	}
	return names, err
}

// WriteConfig replaces the configuration of e. It does so only while the controller is the one that was
// just read: without a ZooKeeper controller it fails with ErrNoController. Of writers at once the last one
// wins. Brokers hear of it by NotifyConfigChange (KafkaZkClient.setOrCreateEntityConfigs).
func (c *Client) WriteConfig(ctx context.Context, e Entity, config map[string]string) error {
	if !e.Valid() {
		return fmt.Errorf("%q is not the path of an entity", e)
	}
	data := EncodeConfig(config)
	for {
		node, stat, ok, err := c.Controller(ctx, nil)
		if err != nil {
			return err
		}
		if !ok || node.KRaftEpoch > 0 {
			return &Error{Op: "set", Path: e.Path(), Err: ErrNoController}
		}
		results, err := c.Multi(ctx, CheckOp(ControllerPath, stat.Version), SetOp(e.Path(), data, AnyVersion))
		switch {
		case err == nil:
			return nil
		case results == nil:
			return err
		case !errors.Is(results[0].Err, ErrRolledBack):
			if !isBadVersion(err) && !isNoNode(err) {
				return err
			}
			continue // another controller came meanwhile
		case !isNoNode(err):
			return err
		}
		if _, err := c.CreateRecursive(ctx, e.Path(), data, Persistent); !isNodeExists(err) {
			return err
		}
	}
}

// NotifyConfigChange tells all brokers that the configuration of e has changed.
func (c *Client) NotifyConfigChange(ctx context.Context, e Entity) error {
	_, err := c.CreateRecursive(ctx, configChangePrefix, EncodeConfigChange(e), PersistentSequential)
	return err
}

// ChangeConfig is WriteConfig and NotifyConfigChange. A user, client or IP left without properties loses
// its node instead, unless something is below it (AdminZkClient.changeEntityConfig).
func (c *Client) ChangeConfig(ctx context.Context, e Entity, config map[string]string) error {
	_, err := c.changeConfig(ctx, e, config, c.WriteConfig)
	return err
}

// ChangeConfigUnguarded is ChangeConfig whether there is a controller or not: for tools that prepare a cluster
// whose brokers do not run yet. It reports whether the configuration was written, not its node deleted.
func (c *Client) ChangeConfigUnguarded(ctx context.Context, e Entity, config map[string]string) (written bool, err error) {
	return c.changeConfig(ctx, e, config, c.writeUnguarded)
}

func (c *Client) changeConfig(ctx context.Context, e Entity, config map[string]string,
	write func(context.Context, Entity, map[string]string) error) (written bool, err error) {
	cleaned := false
	if len(config) == 0 {
		if cleaned, err = c.cleanQuotaNodes(ctx, e); err != nil {
			return false, err
		}
	}
	if !cleaned {
		if err := write(ctx, e, config); err != nil {
			return false, err
		}
	}
	return !cleaned, c.NotifyConfigChange(ctx, e)
}

func (c *Client) writeUnguarded(ctx context.Context, e Entity, config map[string]string) error {
	if !e.Valid() {
		return fmt.Errorf("%q is not the path of an entity", e)
	}
	data := EncodeConfig(config)
	for {
		if _, err := c.Set(ctx, e.Path(), data, AnyVersion); !isNoNode(err) {
			return err
		}
		if _, err := c.CreateRecursive(ctx, e.Path(), data, Persistent); !isNodeExists(err) {
			return err
		}
	}
}

// cleanQuotaNodes deletes the node of a user, client or IP unless something is below it, and then the
// parents of users/U/clients/C that are left empty. It reports whether the node is gone
// (tryCleanQuotaNodes).
func (c *Client) cleanQuotaNodes(ctx context.Context, e Entity) (cleaned bool, err error) {
	switch entityKind(e.Type()) {
	case userEntities, clientEntities, ipEntities:
	default:
		return false, nil
	}
	if cleaned, err = c.deleteEmpty(ctx, e.Path()); err != nil || !cleaned {
		return cleaned, err
	}
	if _, withClient := e.Client(); !withClient {
		return true, nil
	}
	user := userEntities.of(e.Name())
	if empty, err := c.deleteEmpty(ctx, user.Path()+"/"+string(clientEntities)); err != nil || !empty {
		return true, err
	}
	config, err := c.Config(ctx, user)
	if err == nil && len(config) == 0 {
		_, err = c.deleteEmpty(ctx, user.Path())
	}
	return true, err
}

// deleteEmpty deletes path unless it has children, and reports whether it is gone.
func (c *Client) deleteEmpty(ctx context.Context, path string) (bool, error) {
	switch err := c.Delete(ctx, path, AnyVersion); {
	case err == nil, isNoNode(err):
		return true, nil
	case errors.Is(err, ErrNotEmpty):
		return false, nil
	default:
		return false, err
	}
}
