// Package clients has a Producer, a Consumer and an Admin for programs in Go. They are kafka-go
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
// allowed, or asks for what kafka-go cannot do, is an error of the constructor, which names all of them. Kafka's
// clients only warn of a property that they do not know: what is for Java alone, such as key.serializer, is to be left out.
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
//   - Groups rebalance eagerly, with the assignors range and roundrobin, without static members. A group that
//     Java clients with the default assignors are in takes these consumers, by range.
//   - Consumer.Poll returns what has come, and not all partitions' records at once; there is no pause, and a group's
//     consumer cannot seek.
//   - Nobody is told of a rebalance. What was polled of a partition before another member got it may be committed
//     after, and take back what that member has committed: records are then read again, and none is skipped.
//   - auto.offset.reset says where to begin in partitions for which nothing is committed. If what is committed was
//     deleted, by retention or DeleteRecords, a consumer goes on at the first record there is, whatever the property
//     says; if the log ends before it, as after an unclean election, it waits until the log is as long, or with none
//     gets ErrNoOffset. With none, NewConsumer makes sure that there is an offset for all partitions, in their logs.
//   - enable.auto.commit commits what was polled. A partition of which nothing was polled has nothing committed, and
//     the next consumer begins there as auto.offset.reset says.
//
// # Delivery
//
// At most once is to commit before a record is processed, at least once to commit after; the examples
// of Consumer show both.
package clients
