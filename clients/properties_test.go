package clients_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/clients"
)

// A client is refused with everything that is wrong with its properties.
func TestWrongPropertiesAreRefused(t *testing.T) {
	producer := func(p clients.Properties) error {
		_, err := clients.NewProducer(p)
		return err
	}
	consumer := func(p clients.Properties) error {
		_, err := clients.NewConsumer(context.Background(), p, "orders")
		return err
	}
	admin := func(p clients.Properties) error {
		_, err := clients.NewAdmin(p)
		return err
	}
	tests := []struct {
		name  string
		make  func(clients.Properties) error
		props clients.Properties
		want  []string
	}{
		{"no servers", producer, nil, []string{"bootstrap.servers=: must be a list of host:port"}},
		{"server without port", producer, clients.Properties{"bootstrap.servers": "localhost:1, localhost"},
			[]string{"bootstrap.servers=localhost:1, localhost: must be a list of host:port"}},
		{"server's port", admin, clients.Properties{"bootstrap.servers": "localhost:65536"},
			[]string{"bootstrap.servers=localhost:65536: must be a list of host:port"}},
		{"acks", producer, clients.Properties{"acks": "2"}, []string{"acks=2: must be one of 0, 1, all, -1"}},
		{"two at once", producer, clients.Properties{"linger.ms": "-1", "compression.type": "zip"},
			[]string{"linger.ms=-1: must be a whole number from 0", "compression.type=zip: must be one of none, gzip, snappy, lz4, zstd"}},
		{"idempotence", producer, clients.Properties{"enable.idempotence": "true"}, []string{"kafka-go has no idempotent producer"}},
		{"unknown", producer, clients.Properties{"transactional.id": "t"}, []string{"transactional.id: not a property of this producer"}},
		{"no group", consumer, nil, []string{"group.id=: must be the name of a group"}},
		{"reset", consumer, clients.Properties{"group.id": "g", "auto.offset.reset": "smallest"},
			[]string{"auto.offset.reset=smallest: must be one of earliest, latest, none"}},
		{"heartbeat", consumer, clients.Properties{"group.id": "g", "session.timeout.ms": "3000"},
			[]string{"heartbeat.interval.ms=3000: must be below session.timeout.ms"}},
		{"assignor", consumer, clients.Properties{"group.id": "g", "partition.assignment.strategy": "cooperative-sticky"},
			[]string{"partition.assignment.strategy=cooperative-sticky: must be one of range, roundrobin"}},
		{"admin", admin, clients.Properties{"group.id": "g"}, []string{"group.id: not a property of this admin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			props := clients.Properties{"bootstrap.servers": "localhost:1"}
			if tt.name == "no servers" {
				delete(props, "bootstrap.servers")
			}
			maps.Copy(props, tt.props)
			err := tt.make(props)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
			}
		})
	}
}

// What a Java application has in its configuration is taken over as it is.
func TestValuesOfJavaClientsAreTaken(t *testing.T) {
	p, err := clients.NewProducer(clients.Properties{
		"bootstrap.servers": "PLAINTEXT://localhost:1, [::1]:1,", "retries": "2147483647", "acks": "-1", "client.id": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, class := range []string{"RangeAssignor", "RoundRobinAssignor"} {
		c, err := clients.NewConsumer(t.Context(), clients.Properties{
			"bootstrap.servers": "localhost:1", "group.id": "g", "partition.assignment.strategy": "org.apache.kafka.clients.consumer." + class,
		}, "orders")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
