//go:build !race

package zkutil_test

const raceEnabled = false
