package cluster

import "testing"

// TestFreePort: a port that is given out is not given out again, although nobody uses it yet.
func TestFreePort(t *testing.T) {
	given := map[int]bool{}
	for range 3 * portBlock {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] {
			t.Fatalf("port %d is given out twice", port)
		}
		given[port] = true
	}
}
