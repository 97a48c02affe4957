// Package clients has a Producer and an Admin for programs in Go. They are kafka-go
// (github.com/segmentio/kafka-go) underneath, and are set up by the names of properties that Kafka's own
// clients have, so that what stands in a Java application's configuration can be taken over:
//
//	producer, err := clients.NewProducer(clients.Properties{
//		"bootstrap.servers": "localhost:9092",
//		"compression.type":  "zstd",
//		"linger.ms":         "20",
//	})
//
// They talk to Gregor as to any Kafka broker. A property that is not known, or has a value that is not
// allowed, or asks for what kafka-go cannot do, is an error of the constructor, which names all of them.
//
// # What differs from Kafka's clients
//
// What kafka-go cannot do is not imitated:
//
//   - No idempotence and no transactions: a produce request whose answer was lost is sent again, and its records
//     may be in the log twice. enable.idempotence must be false, which is the default here.
//   - One request of a partition is in flight at a time, whatever max.in.flight.requests.per.connection
//     says. Order is kept through retries.
//   - A batch waits for linger.ms even if nothing is in flight, and more does not gather in it while
//     another one is; so linger.ms is 5 by default, as in Kafka 4.
//   - A batch has at most 1000 records.
//   - A record that is larger than batch.size is refused. Its default is 1 MiB, not 16 KiB.
//   - retries is 10 by default: there is no delivery.timeout.ms that would end a larger number.
package clients
