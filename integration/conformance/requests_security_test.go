package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

func describeACLs() *kmsg.DescribeACLsRequest {
	r := kmsg.NewPtrDescribeACLsRequest()
	r.ResourceType, r.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeLiteral
	r.Operation, r.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	return r
}

// createACLs creates n ACLs.
func createACLs(n int) *kmsg.CreateACLsRequest {
	r := kmsg.NewPtrCreateACLsRequest()
	for range n {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, "e1", kmsg.ACLResourcePatternTypeLiteral
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:bob", "*", kmsg.ACLOperationRead, kmsg.ACLPermissionTypeAllow
		r.Creations = append(r.Creations, c)
	}
	return r
}

// deleteACLs deletes what n filters match.
func deleteACLs(n int) *kmsg.DeleteACLsRequest {
	r := kmsg.NewPtrDeleteACLsRequest()
	for range n {
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypeLiteral
		f.Operation, f.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		r.Filters = append(r.Filters, f)
	}
	return r
}

// createToken asks for a token that ownerName is to own; nil: the one who asks.
func createToken(ownerType, ownerName *string) *kmsg.CreateDelegationTokenRequest {
	r := kmsg.NewPtrCreateDelegationTokenRequest()
	r.OwnerPrincipalType, r.OwnerPrincipalName, r.MaxLifetimeMillis = ownerType, ownerName, -1
	return r
}

// minimalOfSecurity is minimalOf for ACLs and delegation tokens.
func minimalOfSecurity(api string) kmsg.Request {
	switch api {
	case "DescribeAcls":
		return describeACLs()
	case "CreateAcls":
		return createACLs(1)
	case "DeleteAcls":
		return deleteACLs(1)
	case "CreateDelegationToken":
		return createToken(nil, nil)
	case "RenewDelegationToken":
		return kmsg.NewPtrRenewDelegationTokenRequest()
	case "ExpireDelegationToken":
		return kmsg.NewPtrExpireDelegationTokenRequest()
	case "DescribeDelegationToken":
		return kmsg.NewPtrDescribeDelegationTokenRequest()
	}
	return nil
}

var rowsSecurity = script{
	"DescribeAcls: no authorizer":                                                request(describeACLs()),
	"CreateAcls: no authorizer, no entries":                                      request(createACLs(0)),
	"CreateAcls: no authorizer, one entry":                                       request(createACLs(1)),
	"DeleteAcls: no authorizer":                                                  request(deleteACLs(1)),
	"CreateDelegationToken: token on a PLAINTEXT listener (and no token secret)": request(createToken(nil, nil)),
	"RenewDelegationToken: token on a PLAINTEXT listener":                        request(kmsg.NewPtrRenewDelegationTokenRequest()),
	"ExpireDelegationToken: token on a PLAINTEXT listener":                       request(kmsg.NewPtrExpireDelegationTokenRequest()),
	"DescribeDelegationToken: token on a PLAINTEXT listener":                     request(kmsg.NewPtrDescribeDelegationTokenRequest()),
}
