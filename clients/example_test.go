package clients_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"testing"

	"github.com/gregor-mq/gregor/clients"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// bootstrap is where the examples find a broker.
var bootstrap = "localhost:9092"

func ExampleProducer() {
	ctx := context.Background()
	producer, err := clients.NewProducer(clients.Properties{
		"bootstrap.servers": bootstrap,
		"acks":              "all",
		"compression.type":  "zstd",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close(ctx)
	for i := range 3 {
		record := clients.Record{Topic: "payments", Key: []byte("customer-7"), Value: fmt.Appendf(nil, "payment %d", i)}
		where, err := producer.SendSync(ctx, record)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("offset", where.Offset)
	}
}

// At least once: commit when the records are processed. If the program ends in between, they come again.
func ExampleConsumer_atLeastOnce() {
	ctx := context.Background()
	consumer, err := clients.NewConsumer(ctx, clients.Properties{
		"bootstrap.servers":  bootstrap,
		"group.id":           "billing",
		"auto.offset.reset":  "earliest",
		"enable.auto.commit": "false",
	}, "payments")
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close(ctx)
	for processed := 0; processed < 3; {
		records, err := consumer.Poll(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range records {
			fmt.Printf("processed %s\n", r.Value)
			processed++
		}
		if err := consumer.CommitSync(ctx); err != nil {
			log.Fatal(err)
		}
	}
}

// At most once: commit before the records are processed. If the program ends in between, they are lost.
func ExampleConsumer_atMostOnce() {
	ctx := context.Background()
	consumer, err := clients.NewConsumer(ctx, clients.Properties{
		"bootstrap.servers":  bootstrap,
		"group.id":           "metering",
		"auto.offset.reset":  "earliest",
		"enable.auto.commit": "false",
	}, "payments")
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close(ctx)
	for processed := 0; processed < 3; {
		records, err := consumer.Poll(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if err := consumer.CommitSync(ctx); err != nil {
			log.Fatal(err)
		}
		for _, r := range records {
			fmt.Printf("counted %s\n", r.Value)
			processed++
		}
	}
}

// The examples do what they say.
func TestExamples(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1"})
	bootstrap = c.Bootstrap()
	for _, example := range []struct {
		name string
		run  func()
		want string
	}{
		{"Producer", ExampleProducer, "offset 0\noffset 1\noffset 2\n"},
		{"Consumer_atLeastOnce", ExampleConsumer_atLeastOnce, "processed payment 0\nprocessed payment 1\nprocessed payment 2\n"},
		{"Consumer_atMostOnce", ExampleConsumer_atMostOnce, "counted payment 0\ncounted payment 1\ncounted payment 2\n"},
	} {
		if got := printed(t, example.run); got != example.want {
			t.Errorf("%s prints %q, want %q", example.name, got, example.want)
		}
	}
}

// printed returns what run prints.
func printed(t *testing.T, run func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 1)
	go func() {
		var b bytes.Buffer
		io.Copy(&b, r)
		out <- b.String()
	}()
	stdout := os.Stdout
	os.Stdout = w
	func() {
		defer func() { os.Stdout = stdout }()
		run()
	}()
	w.Close()
	return <-out
}
