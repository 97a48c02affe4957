package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of resources of DescribeConfigs.
const (
	topicResource         = 2
	groupResource         = 3
	brokerResource        = 4
	loggerResource        = 8
	clientMetricsResource = 16
	groupConfigResource   = 32
)

var rowsOther = script{
	"Metadata: unknown topic, no auto creation": request(metadata("nope")),
	"Metadata: unknown topic, auto creation":    request(creating(metadata("automatic"))),
	"Metadata: the same again after 1.2 s": func(*world) call {
		return call{req: creating(metadata("automatic")), again: true}
	},
	"Metadata: bad name, auto creation":    request(creating(metadata("a b"))),
	"Metadata: bad name, no auto creation": request(metadata("a b")),
	"Metadata: empty name":                 request(metadata("")),
	"Metadata: unknown topic id, v12":      request(metadataByID(unknownID)),
	"Metadata: known topic id, v12":        func(w *world) call { return call{req: metadataByID(w.ids["e1"])} },
	"Metadata: topic id in v11":            func(w *world) call { return call{req: metadataByID(w.ids["e1"])} },
	"Metadata: name and id mixed, v12": func(w *world) call {
		r := metadata("e1")
		r.Topics = append(r.Topics, metadataByID(w.ids["p4"]).Topics...)
		return call{req: r}
	},

	"FindCoordinator: first request ever, __consumer_offsets does not exist yet": request(findCoordinator(0, "g")),
	"FindCoordinator: coordinator type 5":                                        request(findCoordinator(5, "g")),
	"FindCoordinator: coordinator type 2 (share)":                                request(findCoordinator(2, "g:AAAAAAAAAAAAAAAAAAAAAA:0")),
	"FindCoordinator: coordinator type 2 (share), v5":                            request(findCoordinator(2, "g:AAAAAAAAAAAAAAAAAAAAAA:0")),
	"FindCoordinator: coordinator type 5, v2":                                    request(findCoordinator(5, "g")),
	"FindCoordinator: empty group key": func(*world) call {
		return call{req: findCoordinator(0, ""), again: true} // the topic is being created
	},
	"FindCoordinator: empty transactional id": request(findCoordinator(1, "")),
	"FindCoordinator: valid group, v0":        func(*world) call { return call{req: findCoordinator(0, "g"), again: true} },
	"FindCoordinator: no keys, v4":            request(findCoordinator(0)),

	"InitProducerId: transaction timeout 0":                                          request(initProducerID(ptr("t1"), 0, -1, -1)),
	"InitProducerId: transaction timeout -1":                                         request(initProducerID(ptr("t1"), -1, -1, -1)),
	"InitProducerId: transaction timeout 3600000 (above transaction.max.timeout.ms)": request(initProducerID(ptr("t1"), 3_600_000, -1, -1)),
	"InitProducerId: empty transactional id":                                         request(initProducerID(ptr(""), 60_000, -1, -1)),
	"InitProducerId: producer id 5 epoch -1":                                         request(initProducerID(nil, 60_000, 5, -1)),
	"InitProducerId: producer id -1 epoch 5":                                         request(initProducerID(nil, 60_000, -1, 5)),
	"InitProducerId: producer id without transactional id, unknown 12345/0": func(*world) call {
		return call{to: 2, req: initProducerID(nil, 60_000, 12345, 0)}
	},

	"DescribeProducers: unknown topic":                            request(describeProducers(part("nope", 0))),
	"DescribeProducers: broker is a follower of the partition":    request(describeProducers(part("second", 0))),
	"DescribeProducers: broker holds no replica of the partition": request(describeProducers(part("p4", 1))),
	"DescribeProducers: bad topic name":                           request(describeProducers(part("a b", 0))),

	"WriteTxnMarkers: unknown topic":               request(writeTxnMarkers(part("nope", 0))),
	"TxnOffsetCommit: unknown topic":               request(txnOffsetCommit("g", "nope")),
	"TxnOffsetCommit: empty group id":              request(txnOffsetCommit("", "e1")),
	"DescribeTransactions: empty transactional id": request(describeTransactions("")),
	"DescribeTransactions: not the coordinator":    request(describeTransactions("t1")),
	"ListTransactions: unknown state in the filter": func(*world) call {
		r := kmsg.NewPtrListTransactionsRequest()
		r.StateFilters = []string{"Nonsense"}
		return call{req: r, check: func(content []byte) error {
			resp := kmsg.NewPtrListTransactionsResponse()
			resp.Version = 1
			if err := resp.ReadFrom(content[5:]); err != nil { // behind correlation id and tags
				return err
			}
			if !slices.Equal(resp.UnknownStateFilters, r.StateFilters) || len(resp.TransactionStates) != 0 {
				return fmt.Errorf("%+v", resp)
			}
			return nil
		}}
	},

	"DescribeConfigs: nonexistent topic":                      request(describeConfigs(topicResource, "nope")),
	"DescribeConfigs: bad topic name":                         request(describeConfigs(topicResource, "a b")),
	"DescribeConfigs: empty topic name":                       request(describeConfigs(topicResource, "")),
	"DescribeConfigs: broker 2 asked on broker 1":             request(describeConfigs(brokerResource, "2")),
	"DescribeConfigs: broker 99":                              request(describeConfigs(brokerResource, "99")),
	"DescribeConfigs: broker name not a number":               request(describeConfigs(brokerResource, "abc")),
	"DescribeConfigs: broker default (empty name)":            request(describeConfigs(brokerResource, "")),
	"DescribeConfigs: resource type 0":                        request(describeConfigs(0, "e1")),
	"DescribeConfigs: resource type 77":                       request(describeConfigs(77, "e1")),
	"DescribeConfigs: resource type 3 (group)":                request(describeConfigs(groupResource, "g")),
	"DescribeConfigs: broker loggers of broker 1":             describeLoggers,
	"DescribeConfigs: broker loggers of broker 2 on broker 1": request(describeConfigs(loggerResource, "2")),
	"DescribeConfigs: client metrics":                         request(describeConfigs(clientMetricsResource, "cm")),
	"DescribeConfigs: group config (32)":                      request(describeConfigs(groupConfigResource, "g")),
	"DescribeConfigs: topic, one unknown key asked":           request(describeConfigs(topicResource, "e1", "no.such")),
	"DescribeConfigs: broker 1, two keys":                     request(describeConfigs(brokerResource, "1", "num.io.threads", "log.retention.ms")),

	"AlterReplicaLogDirs: directory not in log.dirs": request(alterLogDirs("/no/such/dir")),
	"AlterReplicaLogDirs: relative directory":        request(alterLogDirs("data")),
	"DescribeLogDirs: unknown topic (left out of the answer)": func(*world) call {
		r := kmsg.NewPtrDescribeLogDirsRequest()
		r.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "nope", Partitions: []int32{0}}}
		return call{req: r}
	},

	"DescribeCluster: endpoint type 2 (controllers)": request(describeCluster(2)),
	"DescribeCluster: endpoint type 9":               request(describeCluster(9)),

	"ApiVersions: client software name with characters that are not allowed": request(apiVersions("a b")),
	"ApiVersions: empty client software name":                                request(apiVersions("")),
}

// stopReplica returns the content of a StopReplica v4 about nothing.
func stopReplica(w *world, controllerEpoch int32) []byte {
	r := kmsg.NewPtrStopReplicaRequest()
	r.Version, r.ControllerID, r.ControllerEpoch, r.BrokerEpoch = 4, 1, controllerEpoch, w.epoch
	head := append(header(5, 4, answerID, clientID), 0)
	return append(head, swapStopReplica(r.AppendTo(nil), 4)...)
}

// answerID is the correlation id of frames that are built by hand.
const answerID = 7

// padded is a request header followed by zeroes, which many requests can be read from.
func padded(key, version int16) []byte {
	return append(header(key, version, answerID, clientID), make([]byte, 64)...)
}

func unparsed(content []byte) func(*world) call {
	return func(*world) call { return call{frame: content} }
}

func sent(b []byte) func(*world) call {
	return func(*world) call { return call{bytes: b} }
}

var rowsFrames = script{
	"ApiVersions: ApiVersions version 5 (answer is in the v0 format: code 35 and the range of key 18)": unparsed(padded(18, 5)),
	"ApiVersions: ApiVersions version 99":                       unparsed(padded(18, 99)),
	"ApiVersions: ApiVersions version -1":                       unparsed(padded(18, -1)),
	"Metadata: Metadata version 13":                             unparsed(padded(3, 13)),
	"Metadata: Metadata version 99":                             unparsed(padded(3, 99)),
	"Metadata: Metadata version -1":                             unparsed(padded(3, -1)),
	"Produce: Produce version 12":                               unparsed(padded(0, 12)),
	"Envelope: envelope with empty request on a plain listener": unparsed(padded(58, 0)),

	"(none): API key 999":                   unparsed(padded(999, 0)),
	"(none): API key -1":                    unparsed(padded(-1, 0)),
	"(none): API key 88 (first unassigned)": unparsed(padded(88, 0)),
	"(none): frame length 104857601 (socket.request.max.bytes is 104857600), nothing follows": sent(binary.BigEndian.AppendUint32(nil, 104857601)),
	"(none): frame length -1":                          sent([]byte{0xff, 0xff, 0xff, 0xff}),
	"(none): frame length 0":                           sent([]byte{0, 0, 0, 0}),
	"(none): frame of 4 bytes (shorter than a header)": unparsed([]byte{0, 3, 0, 1}),
	"(none): garbage: 64 bytes of 0xAB":                sent(bytes.Repeat([]byte{0xab}, 64)),
	"(none): garbage: HTTP request line":               sent([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
	"(none): TLS client hello on a PLAINTEXT listener": sent(append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 506)...)),
	"(none): half of a frame (length 100, 10 bytes sent)": func(*world) call {
		return call{bytes: frame(halved)[:14], silent: true, rest: halved[10:]}
	},

	"Metadata: Metadata v1, body cut short (array of 5, nothing follows)": unparsed(append(header(3, 1, answerID, clientID), 0, 0, 0, 5)),
	"Metadata: Metadata v1, array length 2147483647":                      unparsed(append(header(3, 1, answerID, clientID), 0x7f, 0xff, 0xff, 0xff)),
	"Metadata: Metadata v1, array length -2": func(w *world) call {
		return call{frame: append(header(3, 1, answerID, clientID), 0xff, 0xff, 0xff, 0xfe), check: w.checkAllTopics}
	},
	"Metadata: Metadata v1, empty body": unparsed(header(3, 1, answerID, clientID)),
	"ApiVersions: ApiVersions v0 with 4 trailing bytes after the body": func(*world) call {
		return call{frame: append(header(18, 0, answerID, clientID), 1, 2, 3, 4), check: checkAdvertised}
	},
	"ApiVersions: ApiVersions v0 with null client id": func(*world) call {
		return call{frame: []byte{0, 18, 0, 0, 0, 0, 0, answerID, 0xff, 0xff}, check: checkAdvertised}
	},
	"ApiVersions: header: client id length runs over the frame":                  unparsed([]byte{0, 18, 0, 0, 0, 0, 0, answerID, 0x7f, 0xff, 'a'}),
	"Metadata: Metadata v9: tagged field count 5 in the header, nothing follows": unparsed(append(header(3, 9, answerID, clientID), 5)),
}

// halved is a request of 100 bytes, of which the table sends a part.
var halved = slices.Concat(header(18, 0, pingID, clientID), make([]byte, 100-len(header(18, 0, pingID, clientID))))

// checkAllTopics checks a Metadata v1 answer: it names every topic of the cluster.
func (w *world) checkAllTopics(content []byte) error {
	resp, err := decode(withVersion(kmsg.NewPtrMetadataRequest(), 1), answerID, content)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		names[*t.Topic] = true
	}
	for name := range w.ids {
		if !names[name] {
			return fmt.Errorf("topic %s is missing", name)
		}
	}
	return nil
}

// checkAdvertised checks an ApiVersions v0 answer.
func checkAdvertised(content []byte) error {
	resp, err := decode(withVersion(kmsg.NewPtrApiVersionsRequest(), 0), answerID, content)
	if err != nil {
		return err
	}
	versions := resp.(*kmsg.ApiVersionsResponse)
	if versions.ErrorCode != 0 || len(versions.ApiKeys) < len(builtAPIs) {
		return fmt.Errorf("error %d, %d APIs", versions.ErrorCode, len(versions.ApiKeys))
	}
	return nil
}

// alterLogDirs moves the first partition of e1 to a directory.
func alterLogDirs(dir string) *kmsg.AlterReplicaLogDirsRequest {
	r := kmsg.NewPtrAlterReplicaLogDirsRequest()
	r.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{{
		Dir: dir, Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "e1", Partitions: []int32{0}}},
	}}
	return r
}
