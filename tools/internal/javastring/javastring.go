// Package javastring cuts strings as java.lang.String does.
package javastring

import "strings"

// Split returns the parts of text between separators. What is empty at the end does not count, so that separators alone have
// no parts; an empty text has one.
func Split(text, separator string) []string {
	parts := strings.Split(text, separator)
	for text != "" && len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}
