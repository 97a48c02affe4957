package simulated

import (
	"context"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestFailover: a controller takes over a thousand partitions, tells every replica of them once, and moves those of a broker
// that dies.
func TestFailover(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, err := Failover(ctx, zk.Addr()+"/small", 12)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if r.Goroutines > 100 {
		t.Errorf("%d goroutines for 1,200 partitions", r.Goroutines)
	}
}
