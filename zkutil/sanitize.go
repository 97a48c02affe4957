package zkutil

import (
	"fmt"
	"net/url"
	"strings"
)

const sanitizedHex = "0123456789ABCDEF"

// Sanitize returns the form in which the name of a user, client or IP address stands in paths: UTF-8 with
// all but A-Z a-z 0-9 . - _ percent-encoded (Sanitizer).
func Sanitize(name string) string {
	var dst strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
			dst.WriteByte(c)
		default:
			dst.WriteByte('%')
			dst.WriteByte(sanitizedHex[c>>4])
			dst.WriteByte(sanitizedHex[c&15])
		}
	}
	return dst.String()
}

// Desanitize returns the name that Sanitize was given. Like Kafka it also takes '+' for a space.
func Desanitize(sanitized string) (string, error) {
	name, err := url.QueryUnescape(sanitized)
	if err != nil {
		return "", fmt.Errorf("%q is not a sanitized name: %w", sanitized, err)
	}
	return name, nil
}
