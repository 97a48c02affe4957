package argparse

import (
	"strings"
	"unicode/utf8"
)

// wrap breaks text into lines of at most width characters, of which the first begins at offset and the
// others with indent. All but the last are filled with spaces.
func wrap(text string, offset int, indent string) string {
	var done, line strings.Builder
	at := offset
	for _, piece := range pieces(text) {
		n := utf8.RuneCountInString(piece)
		if at+n > width {
			done.WriteString(fill(line.String(), width-at) + "\n" + indent)
			line.Reset()
			at = len(indent)
		}
		line.WriteString(piece)
		at += n
	}
	return done.String() + line.String()
}

// fill spreads missing spaces over the gaps between words, one more in the middle where they do not
// divide evenly.
func fill(line string, missing int) string {
	trimmed := strings.Trim(line, " ")
	missing += len(line) - len(trimmed)
	var words []string
	for word := range strings.SplitSeq(trimmed, " ") {
		if word == "" { // several spaces are one gap
			words[len(words)-1] += " "
			continue
		}
		words = append(words, word)
	}
	gaps := len(words) - 1
	if gaps <= 0 {
		return trimmed
	}
	each, more := missing/gaps, missing%gaps
	first := (gaps - more + 1) / 2
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			n := 1 + each
			if gap := i - 1; gap >= first && gap < first+more {
				n++
			}
			b.WriteString(strings.Repeat(" ", n))
		}
		b.WriteString(word)
	}
	return b.String()
}

// pieces cuts text where a line may end, as Java's BreakIterator does: behind spaces, behind dashes unless
// they are the sign of a number, and behind punctuation that closes, except in numbers.
func pieces(text string) []string {
	var cut []string
	runes, from := []rune(text), 0
	for i := 1; i < len(runes); i++ {
		if mayBreak(runes, from, i) {
			cut = append(cut, string(runes[from:i]))
			from = i
		}
	}
	return append(cut, string(runes[from:]))
}

const (
	opening = "([{"
	closing = ")]}%.,:;!?\""
	quotes  = `'"`
)

// mayBreak reports whether a line may end before runes[i], where the piece begins at from.
func mayBreak(runes []rune, from, i int) bool {
	a, b := runes[i-1], runes[i]
	switch {
	case b == ' ':
		return false
	case a == ' ':
		return true
	case a == '-' && b == '-':
		return false
	case a == '-':
		return !isDigit(b) || !isSign(runes[from:i])
	case strings.ContainsRune(closing, a) && (a != '"' || i-1 > from):
		number := (a == '.' || a == ',') && isDigit(b) && i > 1 && isDigit(runes[i-2])
		return !number && !strings.ContainsRune(closing+quotes, b)
	}
	return strings.ContainsRune(opening, b) && !strings.ContainsRune(opening+quotes, a)
}

// isSign reports whether piece, which ends in dashes, has nothing before them that a sign could not follow.
func isSign(piece []rune) bool { return strings.Trim(string(piece), "-"+opening+quotes) == "" }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }
