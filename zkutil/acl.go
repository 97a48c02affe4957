package zkutil

import (
	"strings"

	"github.com/go-zookeeper/zk"
)

// What only the brokers may read if znodes are secured, since it holds secrets (ZkData).
var sensitivePaths = []string{"/config/users", "/config/brokers", "/delegation_token/tokens"}

// acl returns the access rights for the node that op creates (ZkData.defaultAcls).
func (c *Client) acl(op *Op) []zk.ACL {
	if !c.opts.SetACL || op.path == "/consumers" {
		return zk.WorldACL(zk.PermAll)
	}
	acls := zk.AuthACL(zk.PermAll)
	for _, prefix := range sensitivePaths {
		if strings.HasPrefix(op.path, prefix) {
			return acls
		}
	}
	return append(acls, zk.WorldACL(zk.PermRead)...)
}
