package javaregex

import (
	"regexp"
	"strings"
)

// simple reports whether an expression means the same to package regexp.
func simple(expression string) bool {
	plain := strings.Trim(expression, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.*+|?-_()") == ""
	_, err := regexp.Compile(expression)
	return plain && err == nil && !strings.Contains(expression, "(?") && !doubled.MatchString(expression)
}

// doubled are possessive quantifiers to Java.
var doubled = regexp.MustCompile(`[*+?]\+`)

func regexpMatch(expression, text string) bool {
	return regexp.MustCompile("^(?:" + expression + ")$").MatchString(text)
}
