package zkutil

import "context"

// persistentPaths are the nodes without data that every broker makes sure of when it starts, in Kafka's
// order (ZkData.PersistentZkPaths).
var persistentPaths = []string{
	"/consumers", // of consumers before 0.9
	BrokerIDsPath,
	TopicsPath,
	ConfigChangesPath,
	DeleteTopicsPath,
	BrokerSequencePath,
	ISRChangesPath,
	ProducerIDBlockPath,
	LogDirEventsPath,
	"/config/topics",
	"/config/clients",
	"/config/users",
	"/config/brokers",
	"/config/ips",
}

// EnsurePersistentPaths makes the nodes that the cluster is built on, where they are missing.
func (c *Client) EnsurePersistentPaths(ctx context.Context) error {
	for _, path := range persistentPaths {
		if _, err := c.CreateRecursive(ctx, path, nil, Persistent); err != nil && !isNodeExists(err) {
			return err
		}
	}
	return nil
}
