package conformance

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noAuthorizer is the text that goes with what is refused of several things at once.
const noAuthorizer = "No Authorizer is configured."

// securityAnswers are requests about ACLs and tokens with the answers that they get in all their versions.
func securityAnswers() (list []struct {
	req  kmsg.Request
	want kmsg.Response
}) {
	add := func(req kmsg.Request, want kmsg.Response) {
		list = append(list, struct {
			req  kmsg.Request
			want kmsg.Response
		}{req, want})
	}
	described := kmsg.NewPtrDescribeACLsResponse()
	described.ErrorCode, described.ErrorMessage = kerr.SecurityDisabled.Code, ptr("No Authorizer is configured on the broker")
	add(describeACLs(), described)
	for n := range 3 {
		created, deleted := kmsg.NewPtrCreateACLsResponse(), kmsg.NewPtrDeleteACLsResponse()
		for range n {
			created.Results = append(created.Results, kmsg.CreateACLsResponseResult{ErrorCode: kerr.SecurityDisabled.Code, ErrorMessage: ptr(noAuthorizer)})
			deleted.Results = append(deleted.Results, kmsg.DeleteACLsResponseResult{ErrorCode: kerr.SecurityDisabled.Code, ErrorMessage: ptr(noAuthorizer)})
		}
		add(createACLs(n), created)
		add(deleteACLs(n), deleted)
	}
	refused := kerr.DelegationTokenRequestNotAllowed.Code
	for _, owner := range []string{"", "bob"} {
		token := kmsg.NewPtrCreateDelegationTokenResponse()
		token.ErrorCode, token.PrincipalType, token.PrincipalName = refused, "User", "ANONYMOUS"
		token.TokenRequesterPrincipalType, token.TokenRequesterPrincipalName = "User", "ANONYMOUS"
		token.IssueTimestamp, token.ExpiryTimestamp, token.MaxTimestamp = -1, -1, -1
		if owner != "" { // only version 3 can name an owner
			token.PrincipalType, token.PrincipalName = "Robot", owner
		}
		add(createToken(ptr("Robot"), &owner), token)
	}
	renewed, expired, tokens := kmsg.NewPtrRenewDelegationTokenResponse(), kmsg.NewPtrExpireDelegationTokenResponse(), kmsg.NewPtrDescribeDelegationTokenResponse()
	renewed.ErrorCode, renewed.ExpiryTimestamp = refused, -1
	expired.ErrorCode, expired.ExpiryTimestamp = refused, -1
	tokens.ErrorCode = refused
	add(kmsg.NewPtrRenewDelegationTokenRequest(), renewed)
	add(kmsg.NewPtrExpireDelegationTokenRequest(), expired)
	add(kmsg.NewPtrDescribeDelegationTokenRequest(), tokens)
	return list
}

// TestSecurityIsOff asks a broker without an authorizer, on a PLAINTEXT listener, for ACLs and for tokens, in every
// version.
func TestSecurityIsOff(t *testing.T) {
	t.Parallel()
	s := newSingle(t, nil)
	for _, a := range securityAnswers() {
		for version := range a.req.MaxVersion() + 1 {
			if r, ok := a.req.(*kmsg.CreateDelegationTokenRequest); ok && version < 3 && *r.OwnerPrincipalName != "" {
				continue
			}
			resp := ask[kmsg.Response](t, s.addr, withVersion(a.req, version))
			a.want.SetVersion(version)
			if got, want := resp.AppendTo(nil), a.want.AppendTo(nil); !reflect.DeepEqual(got, want) {
				t.Errorf("%s v%d: %+v\nwant %+v", kmsg.NameForKey(a.req.Key()), version, resp, a.want)
			}
		}
	}
	withoutType := ask[*kmsg.CreateDelegationTokenResponse](t, s.addr, withVersion(createToken(nil, ptr("bob")), 3))
	if withoutType.ErrorCode != kerr.UnknownServerError.Code || withoutType.PrincipalName != "ANONYMOUS" || withoutType.TokenRequesterPrincipalName != "ANONYMOUS" {
		t.Errorf("an owner without a type: %+v", withoutType)
	}
}

// TestUnknownACLsAreNotParsed: elements of the type UNKNOWN end the connection, codes that nobody knows do not.
func TestUnknownACLsAreNotParsed(t *testing.T) {
	t.Parallel()
	s := newSingle(t, nil)
	for place := range 4 {
		for _, code := range []int8{0, 77} {
			set := func(resource *kmsg.ACLResourceType, pattern *kmsg.ACLResourcePatternType, operation *kmsg.ACLOperation, permission *kmsg.ACLPermissionType) {
				reflect.ValueOf([]any{resource, pattern, operation, permission}[place]).Elem().SetInt(int64(code))
			}
			describe, create, remove := describeACLs(), createACLs(2), deleteACLs(2)
			set(&describe.ResourceType, &describe.ResourcePatternType, &describe.Operation, &describe.PermissionType)
			c, f := &create.Creations[1], &remove.Filters[1]
			set(&c.ResourceType, &c.ResourcePatternType, &c.Operation, &c.PermissionType)
			set(&f.ResourceType, &f.ResourcePatternType, &f.Operation, &f.PermissionType)
			for _, req := range []kmsg.Request{describe, create, remove} {
				what := fmt.Sprintf("%s: element %d is %d", kmsg.NameForKey(req.Key()), place, code)
				conn := dial(t, s.addr)
				err := conn.send(encode(withVersion(req, 3), 1))
				if err == nil && code == 0 {
					err = conn.awaitClose()
				} else if err == nil {
					_, err = conn.readFrame()
				}
				if conn.Close(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
	}
}
