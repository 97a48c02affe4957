package argparse

import (
	"slices"
	"strings"
)

// The costs of edits and the distance from which on nothing is proposed, as git has them.
const (
	substitution = 2
	addition     = 1
	deletion     = 4
	tooFar       = 7
)

// similar returns those of proposed that are nearest to unknown, in order; nil if none is near. Leading
// dashes do not count, and flags of one letter are not proposed.
func similar(unknown string, proposed []string) []string {
	nearest, found := tooFar, []string(nil)
	for _, name := range proposed {
		body := strings.TrimLeft(name, "-")
		if body != name && len(body) < 2 {
			continue
		}
		d := 0
		if !strings.HasPrefix(body, unknown) {
			d = distance(unknown, body)
		}
		switch {
		case d < nearest:
			nearest, found = d, []string{name}
		case d == nearest && found != nil:
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// distance is the Damerau-Levenshtein distance from a to b; two neighbours change places at no cost.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = last[j-1]
			if a[i-1] != b[j-1] {
				row[j] += substitution
			}
			if i > 1 && j > 1 && a[i-1] != b[j-1] && a[i-2] == b[j-1] && a[i-1] == b[j-2] {
				row[j] = min(row[j], before[j-2])
			}
			row[j] = min(row[j], last[j]+deletion, row[j-1]+addition)
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
