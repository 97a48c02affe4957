package javaregex

import (
	"strconv"
	"strings"
)

// SyntaxError is Java's PatternSyntaxException.
type SyntaxError struct {
	Description string
	Pattern     string
	Index       int // of the character where the error was found, as Java counts
}

// Error returns what Java's getMessage does: the expression on a line of its own, below it a mark.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString(e.Description)
	if e.Index >= 0 {
		b.WriteString(" near index " + strconv.Itoa(e.Index))
	}
	b.WriteString("\n" + e.Pattern)
	runes := []rune(e.Pattern)
	if e.Index < 0 || e.Index >= len(runes) {
		return b.String()
	}
	b.WriteByte('\n')
	for _, r := range runes[:e.Index] {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	b.WriteByte('^')
	return b.String()
}

// fail ends the reading of an expression, at the character before the next one, as Java has it.
func (p *parser) fail(description string) {
	panic(&SyntaxError{Description: description, Pattern: p.pattern, Index: p.at - 1})
}
