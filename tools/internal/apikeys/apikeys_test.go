package apikeys

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/wire"
)

// TestTable checks the names and versions against those that brokers serve.
func TestTable(t *testing.T) {
	for _, served := range wire.APIs() {
		a, ok := All[served.Key]
		if !ok || a.Name != served.Name || a.Latest != served.Max || a.Oldest != served.Min {
			t.Errorf("%s is %+v", served.Name, a)
		}
	}
}

func TestConstant(t *testing.T) {
	for key, want := range map[int16]string{43: "ELECT_LEADERS", 50: "DESCRIBE_USER_SCRAM_CREDENTIALS", 74: "LIST_CLIENT_METRICS_RESOURCES"} {
		if got := Constant(key); got != want {
			t.Errorf("%d is %s, want %s", key, got, want)
		}
	}
}
