package security

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Texts of Kafka's AclApis; that of DescribeAcls is longer.
const (
	noAuthorizer         = "No Authorizer is configured."
	noAuthorizerOnBroker = "No Authorizer is configured on the broker"
)

// known reports whether none of the elements of an ACL, or of a filter, is UNKNOWN. Codes that nobody knows pass.
func known(resource kmsg.ACLResourceType, pattern kmsg.ACLResourcePatternType, operation kmsg.ACLOperation, permission kmsg.ACLPermissionType) bool {
	return resource != kmsg.ACLResourceTypeUnknown && pattern != kmsg.ACLResourcePatternTypeUnknown &&
		operation != kmsg.ACLOperationUnknown && permission != kmsg.ACLPermissionTypeUnknown
}

// DescribeAcls would list ACLs, versions 0 to 3.
func DescribeAcls(r *request.Request) {
	req := kmsg.NewPtrDescribeACLsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	if !known(req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType) {
		r.Drop(errUnknownElement)
		return
	}
	text := noAuthorizerOnBroker
	resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
	resp.ErrorCode, resp.ErrorMessage = kerr.SecurityDisabled.Code, &text
	r.Reply(resp)
}

// CreateAcls would create ACLs, versions 0 to 3. Each has an answer of its own, and the whole has none.
func CreateAcls(r *request.Request) {
	req := kmsg.NewPtrCreateACLsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	for i := range req.Creations {
		c := &req.Creations[i]
		if !known(c.ResourceType, c.ResourcePatternType, c.Operation, c.PermissionType) {
			r.Drop(errUnknownElement)
			return
		}
	}
	result, text := kmsg.NewCreateACLsResponseResult(), noAuthorizer
	result.ErrorCode, result.ErrorMessage = kerr.SecurityDisabled.Code, &text
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	resp.Results = slices.Repeat([]kmsg.CreateACLsResponseResult{result}, len(req.Creations))
	r.Reply(resp)
}

// DeleteAcls would delete ACLs, versions 0 to 3. Each filter has an answer of its own, and the whole has none.
func DeleteAcls(r *request.Request) {
	req := kmsg.NewPtrDeleteACLsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	for i := range req.Filters {
		f := &req.Filters[i]
		if !known(f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType) {
			r.Drop(errUnknownElement)
			return
		}
	}
	result, text := kmsg.NewDeleteACLsResponseResult(), noAuthorizer
	result.ErrorCode, result.ErrorMessage = kerr.SecurityDisabled.Code, &text
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	resp.Results = slices.Repeat([]kmsg.DeleteACLsResponseResult{result}, len(req.Filters))
	r.Reply(resp)
}
