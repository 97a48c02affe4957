//go:build race

package zkutil_test

// raceEnabled is true under the race detector, which finds that go-zookeeper 1.0.4 reads the zxid for SetWatches while answers may
// come in. See transport, which puts in another one.
const raceEnabled = true
