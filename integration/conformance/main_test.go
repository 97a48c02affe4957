package conformance

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

func TestMain(m *testing.M) { cluster.Main(m) }

// onKafka reports whether the tables are to be checked against Apache Kafka itself.
func onKafka() bool { return os.Getenv("CONFORMANCE_KAFKA") != "" }

// start starts n brokers: Gregor's or, to check the tables, Kafka's.
func start(t testing.TB, n int, props cluster.Props) *cluster.Cluster {
	t.Helper()
	if !onKafka() {
		return cluster.Start(t, n, props)
	}
	c := cluster.Start(t, 0, props)
	for range n {
		c.AddKafka(nil)
	}
	return c
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
