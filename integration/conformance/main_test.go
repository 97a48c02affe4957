package conformance

import (
	"errors"
	"maps"
	"os"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

func TestMain(m *testing.M) { cluster.Main(m) }

// onKafka reports whether the tables are to be checked against Apache Kafka itself.
func onKafka() bool { return os.Getenv("CONFORMANCE_KAFKA") != "" }

// longSession keeps brokers registered however busy the machine is, where no test waits for the end of a session.
var longSession = cluster.Props{"zookeeper.session.timeout.ms": "60000"}

// start starts n brokers: Gregor's or, to check the tables, Kafka's.
func start(t testing.TB, n int, props cluster.Props) *cluster.Cluster {
	t.Helper()
	props = with(longSession, props)
	if !onKafka() {
		return cluster.Start(t, n, props)
	}
	c := cluster.Start(t, 0, props)
	for range n {
		c.AddKafka(nil)
	}
	return c
}

// with returns props, and more over them.
func with(props, more cluster.Props) cluster.Props {
	all := maps.Clone(props)
	maps.Copy(all, more)
	return all
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
