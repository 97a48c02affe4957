package zkutil

import (
	"context"

	"github.com/gregor-mq/gregor/broker/topic"
)

// ClusterIDPath is where the cluster's id is kept.
const ClusterIDPath = "/cluster/id"

// EncodeClusterID returns the contents of ClusterIDPath. The version is a string there.
func EncodeClusterID(id string) []byte {
	return encodeJSON(struct {
		Version string `json:"version"`
		ID      string `json:"id"`
	}{"1", id})
}

// DecodeClusterID returns the id in the contents of ClusterIDPath.
func DecodeClusterID(data []byte) (string, error) {
	o, err := parseObject(data)
	if err != nil {
		return "", malformed("cluster id", data, err)
	}
	id, err := required[string](o, "id")
	if err != nil {
		return "", malformed("cluster id", data, err)
	}
	return id, nil
}

// ClusterID returns the cluster's id, or "" if it has none yet.
func (c *Client) ClusterID(ctx context.Context) (string, error) {
	data, _, err := c.Get(ctx, ClusterIDPath)
	if isNoNode(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return DecodeClusterID(data)
}

// CreateOrGetClusterID returns the cluster's id, and gives the cluster a new one if it has none. Of
// brokers that do so at once, all get the id of the first (KafkaZkClient.createOrGetClusterId).
func (c *Client) CreateOrGetClusterID(ctx context.Context) (string, error) {
	if id, err := c.ClusterID(ctx); id != "" || err != nil {
		return id, err
	}
	id := topic.NewID().String()
	_, err := c.CreateRecursive(ctx, ClusterIDPath, EncodeClusterID(id), Persistent)
	if isNodeExists(err) {
		return c.ClusterID(ctx)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}
