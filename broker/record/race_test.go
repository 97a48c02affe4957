//go:build race

package record

// raceEnabled is true under the race detector, where sync.Pool drops what it is given at random and
// large inputs take long.
const raceEnabled = true
