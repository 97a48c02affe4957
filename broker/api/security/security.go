// Package security serves the APIs of access control lists and of delegation tokens as a broker does that has
// neither an authorizer nor anything but PLAINTEXT listeners: it says that there are none to be had.
//
// What Kafka refuses to parse ends the connection here, too.
package security

import "errors"

// errUnknownElement is what Kafka throws while it parses a request (DescribeAclsRequest.normalizeAndValidate).
var errUnknownElement = errors.New("security: an ACL has an element of the type UNKNOWN")
