// Package directories tests that data directories pass between Apache Kafka and Gregor: a broker is stopped or killed and
// started again as the other one, with the same id, in the same cluster, on the same files.
package directories
