//go:build race

package storage

// raceEnabled is true under the race detector, which makes what these tests do ten times slower.
const raceEnabled = true
