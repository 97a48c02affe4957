package security

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// The APIs of delegation tokens (KIP-48) are for clients that have authenticated themselves: on a PLAINTEXT listener
// each is refused, whatever it asks (KafkaApis.allowTokenRequests), and whether or not the broker has a secret for
// tokens. There are no other listeners yet.

// errorTimestamp stands for a time that there is none of (DelegationTokenManager.ErrorTimestamp).
const errorTimestamp = -1

// CreateDelegationToken refuses to create a token, versions 0 to 3, and repeats who was to own it.
func CreateDelegationToken(r *request.Request) {
	req := kmsg.NewPtrCreateDelegationTokenRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.CreateDelegationTokenResponse)
	resp.ErrorCode = kerr.DelegationTokenRequestNotAllowed.Code
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = errorTimestamp, errorTimestamp, errorTimestamp
	me := r.Conn.Principal
	resp.PrincipalType, resp.PrincipalName = me.Type, me.Name
	if req.OwnerPrincipalName != nil && *req.OwnerPrincipalName != "" {
		if req.OwnerPrincipalType == nil { // a NullPointerException in Kafka
			resp.ErrorCode = kerr.UnknownServerError.Code
		} else {
			resp.PrincipalType, resp.PrincipalName = *req.OwnerPrincipalType, *req.OwnerPrincipalName
		}
	}
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = me.Type, me.Name
	r.Reply(resp)
}

// RenewDelegationToken refuses to renew a token, versions 0 to 2.
func RenewDelegationToken(r *request.Request) {
	req := kmsg.NewPtrRenewDelegationTokenRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.RenewDelegationTokenResponse)
	resp.ErrorCode, resp.ExpiryTimestamp = kerr.DelegationTokenRequestNotAllowed.Code, errorTimestamp
	r.Reply(resp)
}

// ExpireDelegationToken refuses to expire a token, versions 0 to 2.
func ExpireDelegationToken(r *request.Request) {
	req := kmsg.NewPtrExpireDelegationTokenRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.ExpireDelegationTokenResponse)
	resp.ErrorCode, resp.ExpiryTimestamp = kerr.DelegationTokenRequestNotAllowed.Code, errorTimestamp
	r.Reply(resp)
}

// DescribeDelegationToken refuses to list tokens, versions 0 to 3.
func DescribeDelegationToken(r *request.Request) {
	req := kmsg.NewPtrDescribeDelegationTokenRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeDelegationTokenResponse)
	resp.ErrorCode = kerr.DelegationTokenRequestNotAllowed.Code
	r.Reply(resp)
}
