package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

var (
	e1 = part("e1", 0)
	// empty has no records; its leader is broker 1.
	empty = part("p4", 0)
)

func unknownFetch(id [16]byte) *kmsg.FetchRequest { return fetch(partOf{id: id}) }

func replicaID(id int32) func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {
	return func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.ReplicaID = id }
}

// keepSession remembers the session of the answer.
func (w *world) keepSession(resp kmsg.Response) { w.session = resp.(*kmsg.FetchResponse).SessionID }

var rowsFetch = script{
	"Fetch: valid, no session":                 request(fetch(e1)),
	"Fetch: offset 100000 (above the end)":     request(fetch(e1, fromOffset(100_000))),
	"Fetch: offset -1":                         request(fetch(e1, fromOffset(-1))),
	"Fetch: unknown topic":                     request(fetch(part("nope", 0))),
	"Fetch: unknown partition":                 request(fetch(part("e1", 7))),
	"Fetch: unknown topic id, v16":             request(unknownFetch(unknownID)),
	"Fetch: zero topic id, v16":                request(unknownFetch([16]byte{})),
	"Fetch: valid by topic id, v16":            func(w *world) call { return call{req: fetch(partOf{id: w.ids["e1"]})} },
	"Fetch: leader epoch 0 given (current)":    request(fetch(e1, inEpoch(0))),
	"Fetch: leader epoch 9 (newer than known)": request(fetch(e1, inEpoch(9))),
	"Fetch: not leader: follower fetch by a consumer with leader epoch -1 (allowed when replica)": request(fetch(part("second", 0))),
	"Fetch: v4 on a follower":               request(fetch(part("second", 0))),
	"Fetch: broker holds no replica":        request(fetch(part("p4", 1))),
	"Fetch: broker holds no replica, v16":   func(w *world) call { return call{req: fetch(partOf{id: w.ids["p4"], partition: 1})} },
	"Fetch: unknown session id":             request(fetch(e1, session(12345, 1))),
	"Fetch: session id 12345 with epoch 0":  request(fetch(e1, session(12345, 0))),
	"Fetch: session id 12345 with epoch -1": request(fetch(e1, session(12345, -1))),
	"Fetch: session id 0 with epoch 5":      request(fetch(e1, session(0, 5))),
	"Fetch: session id 0, epoch 0 (new session)": func(w *world) call {
		return call{req: fetch(e1, session(0, 0)), after: w.keepSession}
	},
	"Fetch: session epoch 7 where 1 is due": func(w *world) call { return call{req: fetch(e1, session(w.session, 7))} },
	"Fetch: session epoch 1 (right), nothing changed": func(w *world) call {
		return call{req: fetch(e1, session(w.session, 1))}
	},
	"Fetch: session made with names, then ids in v16": func(w *world) call {
		return call{req: fetch(partOf{id: w.ids["e1"]}, session(w.session, 2))}
	},
	"Fetch: replica id 9 (no such replica)": request(fetch(e1, replicaID(9))),
	"Fetch: replica id -2 (debug consumer)": request(fetch(e1, replicaID(-2))),
	"Fetch: max bytes 0 (first batch is still sent)": request(fetch(e1, func(r *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
		r.MaxBytes, p.PartitionMaxBytes = 0, 0
	})),
	"Fetch: partition max bytes -1": request(fetch(e1, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = -1 })),
	"Fetch: max bytes -1":           request(fetch(e1, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.MaxBytes = -1 })),
	"Fetch: partition max bytes -1 at the end of the log": request(fetch(e1, fromOffset(recordsInE1), func(r *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
		r.MaxWaitMillis, p.PartitionMaxBytes = 0, -1
	})),
	"Fetch: leader epoch -254 (counts as none, unlike elsewhere)": request(fetch(e1, inEpoch(-254))),
	"Fetch: isolation level 3":                                    request(fetch(e1, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.IsolationLevel = 3 })),
	"Fetch: last fetched epoch 7 (diverging)": request(fetch(e1, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
		p.LastFetchedEpoch = 7
	})),

	"ListOffsets: latest, valid":                   request(listOffsets(e1, -1, -1)),
	"ListOffsets: earliest, valid":                 request(listOffsets(e1, -2, -1)),
	"ListOffsets: max timestamp (-3)":              request(listOffsets(e1, -3, -1)),
	"ListOffsets: earliest local (-4), v8":         request(listOffsets(e1, -4, -1)),
	"ListOffsets: latest tiered (-5), v9":          request(listOffsets(e1, -5, -1)),
	"ListOffsets: timestamp -6":                    request(listOffsets(e1, -6, -1)),
	"ListOffsets: max timestamp in v6 (needs v7)":  request(listOffsets(e1, -3, -1)),
	"ListOffsets: earliest local in v7 (needs v8)": request(listOffsets(e1, -4, -1)),
	"ListOffsets: time in the future":              request(listOffsets(e1, 1<<50, -1)),
	"ListOffsets: latest, v0":                      request(listOffsets(e1, -1, -1)),
	"ListOffsets: unknown topic":                   request(listOffsets(part("nope", 0), -1, -1)),
	"ListOffsets: unknown partition":               request(listOffsets(part("e1", 7), -1, -1)),
	"ListOffsets: not leader":                      request(listOffsets(part("second", 0), -1, -1)),
	"ListOffsets: leader epoch 9":                  request(listOffsets(e1, -1, 9)),
	"ListOffsets: leader epoch -254":               request(listOffsets(e1, -1, -254)),
	"ListOffsets: empty log, latest":               request(listOffsets(empty, -1, -1)),

	"OffsetForLeaderEpoch: epoch 0, valid":            request(offsetForEpoch(e1, -1, 0)),
	"OffsetForLeaderEpoch: epoch 5 (newer than any)":  request(offsetForEpoch(e1, -1, 5)),
	"OffsetForLeaderEpoch: current leader epoch 9":    request(offsetForEpoch(e1, 9, 0)),
	"OffsetForLeaderEpoch: current leader epoch -254": request(offsetForEpoch(e1, -254, 0)),
	"OffsetForLeaderEpoch: unknown topic":             request(offsetForEpoch(part("nope", 0), -1, 0)),
	"OffsetForLeaderEpoch: not leader":                request(offsetForEpoch(part("second", 0), -1, 0)),

	"DeleteRecords: offset above the high watermark":                        request(deleteRecords(e1, 1000)),
	"DeleteRecords: offset -5":                                              request(deleteRecords(e1, -5)),
	"DeleteRecords: offset -1 (high watermark), topic p4-0 without records": request(deleteRecords(empty, -1)),
	"DeleteRecords: offset 2, valid":                                        request(deleteRecords(e1, 2)),
	"DeleteRecords: offset 1, below the log start":                          request(deleteRecords(e1, 1)),
	"DeleteRecords: compacted topic":                                        request(deleteRecords(part("compact", 0), 1)),
	"DeleteRecords: unknown topic":                                          request(deleteRecords(part("nope", 0), 1)),
	"DeleteRecords: not leader":                                             request(deleteRecords(part("second", 0), 1)),
	"DeleteRecords: internal topic __consumer_offsets": func(*world) call {
		return call{req: deleteRecords(part("__consumer_offsets", 0), 0), again: true}
	},
}
