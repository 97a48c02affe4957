// Package auth says who a client is and what it may do.
package auth

// Principal is who stands behind a connection, as Kafka's KafkaPrincipal: a type ("User") and a name.
type Principal struct {
	Type, Name string
}

// Anonymous is the principal of an unauthenticated connection.
var Anonymous = Principal{Type: "User", Name: "ANONYMOUS"}

// String returns type:name, the form of super.users and of ACLs.
func (p Principal) String() string { return p.Type + ":" + p.Name }
