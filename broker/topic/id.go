package topic

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// ID is a topic's id (KIP-516): 16 bytes, written as 22 characters of unpadded base64url. The zero
// ID means that there is none.
type ID [16]byte

// NewID returns a random (version 4) id. Like Kafka's Uuid.randomUuid it never starts with '-', so
// that it can stand as an argument of a command.
func NewID() ID {
	for {
		var id ID
		rand.Read(id[:]) // never fails (crypto/rand)
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		if id.String()[0] != '-' {
			return id
		}
	}
}

// ParseID reads the 22 characters that String writes.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return ID{}, fmt.Errorf("topic id %q is not 16 bytes in base64url", s)
	}
	return ID(b), nil
}

// String returns the id as 22 characters of unpadded base64url.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IsZero reports whether id means "none".
func (id ID) IsZero() bool { return id == ID{} }
