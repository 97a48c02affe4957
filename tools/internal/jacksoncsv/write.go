package jacksoncsv

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// quoteAfter is the number of UTF-16 units above which Jackson quotes a text without looking at it.
const quoteAfter = 24

// Append adds a line with its end to dst. There must be a value for each column.
func (s Schema) Append(dst []byte, values ...Value) []byte {
	for i, column := range s.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		if column.Kind == Text {
			dst = appendText(dst, values[i].Text)
		} else {
			dst = strconv.AppendInt(dst, values[i].Number, 10)
		}
	}
	return append(dst, '\n')
}

// appendText quotes what is long or has a character up to the comma in ASCII's order.
func appendText(dst []byte, text string) []byte {
	special := strings.ContainsFunc(text, func(r rune) bool { return r <= ',' })
	if !special && len(utf16.Encode([]rune(text))) <= quoteAfter {
		return append(dst, text...)
	}
	return append(append(append(dst, '"'), strings.ReplaceAll(text, `"`, `""`)...), '"')
}
