// Package seed gives random tests their seed, so that what the tests of a checkout do does not depend on the day: the
// same seed each time, another one with -seed N, and one that nobody has tried yet with -seed 0.
package seed

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var given = flag.Uint64("seed", 1, "of the random tests; 0 draws one")

// Of returns the seed of t, and prints how to have it again.
func Of(t testing.TB) uint64 {
	t.Helper()
	s := *given
	for s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d: repeat with -seed %[1]d -run '^%[2]s$'", s, t.Name())
	return s
}

// Rand returns a source of random numbers that follows from the seed of t.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(Of(t), 1))
}
