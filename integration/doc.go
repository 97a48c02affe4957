// Package integration tests the whole: real broker processes on a real ZooKeeper, talked to by real
// clients, and compared with Apache Kafka itself. Package cluster is the harness.
package integration
