// Package wire knows Kafka's bytes on the network: frames, request and response headers, the table of
// served APIs and, written by hand, the four messages of the data path.
//
//	ParseHeader -> Lookup -> Decode (kmsg) or ProduceRequest.Parse, FetchRequest.Parse
//	ProduceResponse, FetchResponse -> AppendFrame
//
// Everything else is encoded and decoded by kmsg. Its decoder trusts the counts it reads, so Decode
// checks a body against the layout of its version first (layout.go).
//
// The package holds no lock during a call out of it and starts no goroutine.
package wire
