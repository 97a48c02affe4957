// Package excerpt shows the beginning of texts that come from outside. A name in a request may have 32 KiB, and a request
// may have it repeated for each of many partitions, in the answer or in the log.
package excerpt

import (
	"fmt"
	"unicode/utf8"
)

// Of returns text if it has at most limit bytes. Otherwise it returns its beginning, at most limit bytes that end with a
// whole character, and how many bytes are left out.
func Of(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d more bytes)", text[:end], len(text)-end)
}
