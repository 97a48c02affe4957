package clients_test

import (
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

func TestMain(m *testing.M) { cluster.Main(m) }
