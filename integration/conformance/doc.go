// Package conformance compares a running broker with what was recorded of Apache Kafka 3.9: its
// errors, its API versions, its znodes and its files. It talks to a real broker process over bare TCP
// connections, so that it can also send what no client would, and looks at what the process has
// become afterwards.
//
// The table of errors, testdata/errors.tsv, is replayed row by row; a row that belongs to an API that
// is built must be in the tables of this package, as replayed, as different from Kafka with the
// reason, or as not replayable with the reason. With CONFORMANCE_KAFKA=1 the same requests go to
// Apache Kafka itself, to check the tables:
//
//	CONFORMANCE_KAFKA=1 go test -run 'TestErrors|TestZnodes' ./integration/conformance
package conformance
