package conformance

import "github.com/twmb/franz-go/pkg/kmsg"

// Producer ids that no broker has given out; a broker takes them as they come.
const (
	producerA = 7001 + iota
	producerB
	producerC
	producerD
)

// to produces one batch to a topic.
func to(topic string, partition int32, change ...func(*batch)) func(*world) call {
	return func(*world) call { return call{req: produce(topic, partition, newBatch(change...))} }
}

// raw produces these bytes to e1-0.
func raw(records func() []byte) func(*world) call {
	return func(*world) call { return call{req: produce("e1", 0, records())} }
}

func withAcks(topic string, n int16, change ...func(*batch)) func(*world) call {
	return func(*world) call { return call{req: acks(produce(topic, 0, newBatch(change...)), n)} }
}

// both produces by one request what two would.
func both(first, second *kmsg.ProduceRequest) func(*world) call {
	first.Topics = append(first.Topics, second.Topics...)
	return request(first)
}

func transactionally(r *kmsg.ProduceRequest) *kmsg.ProduceRequest {
	r.TransactionID = ptr("t1")
	return r
}

var rowsProduce = script{
	"Produce: valid":                                                         batchTo(),
	"Produce: bad CRC":                                                       batchTo(func(b *batch) { b.badCRC = true }),
	"Produce: unknown topic":                                                 to("nope", 0),
	"Produce: unknown partition":                                             to("e1", 7),
	"Produce: batch larger than max.message.bytes":                           batchTo(func(b *batch) { b.value = make([]byte, 1_100_000) }),
	"Produce: magic 1 message set in v9":                                     raw(func() []byte { return message(1, false) }),
	"Produce: magic 0 message set in v3":                                     raw(func() []byte { return message(0, false) }),
	"Produce: magic 1 message set in v2 (valid)":                             raw(func() []byte { return message(1, false) }),
	"Produce: magic 1 message set in v2, bad CRC":                            raw(func() []byte { return message(1, true) }),
	"Produce: magic 0 message set in v0 (valid)":                             raw(func() []byte { return message(0, false) }),
	"Produce: magic 2 batch in v2":                                           batchTo(),
	"Produce: magic 5":                                                       batchTo(func(b *batch) { b.Magic = 5 }),
	"Produce: acks=2":                                                        withAcks("e1", 2),
	"Produce: acks=-2":                                                       withAcks("e1", -2),
	"Produce: not leader (leader is broker 2)":                               to("second", 0),
	"Produce: not leader, v10 (current leader in the answer)":                to("second", 0),
	"Produce: broker is not a replica (p4-1 is on broker 2 only)":            to("p4", 1),
	"Produce: record set null":                                               raw(func() []byte { return nil }),
	"Produce: record set empty":                                              raw(func() []byte { return []byte{} }),
	"Produce: two batches in one partition":                                  raw(func() []byte { return append(newBatch(), newBatch()...) }),
	"Produce: batch length field too long":                                   batchTo(func(b *batch) { b.moreLength = 100 }),
	"Produce: 10 bytes of garbage":                                           raw(func() []byte { return []byte("0123456789") }),
	"Produce: first offset of the batch is 5":                                batchTo(func(b *batch) { b.FirstOffset = 5 }),
	"Produce: last offset delta 5 with one record":                           batchTo(func(b *batch) { b.LastOffsetDelta = 5 }),
	"Produce: record count 3 with one record":                                batchTo(func(b *batch) { b.NumRecords = 3 }),
	"Produce: record count 0 with one record":                                batchTo(func(b *batch) { b.NumRecords = 0 }),
	"Produce: compression attribute 7":                                       batchTo(attributes(noCodec)),
	"Produce: compression attribute 7 in v6, and an unknown topic":           both(produce("e1", 0, newBatch(attributes(noCodec))), produce("nope", 0, newBatch())),
	"Produce: acks=2 and zeros behind the batch in v2, and an unknown topic": both(acks(produce("e1", 0, append(newBatch(), make([]byte, 61)...)), 2), produce("nope", 0, newBatch())),
	"Produce: transactional batches of two producers": both(transactionally(produce("e1", 0, newBatch(attributes(transactional), producer(producerA, 0, 0)))),
		produce("under_score", 0, newBatch(attributes(transactional), producer(producerB, 0, 0)))),
	"Produce: zstd attribute in v6":                                                           batchTo(attributes(zstdCodec)),
	"Produce: gzip attribute, body not gzip":                                                  batchTo(attributes(gzipped)),
	"Produce: control batch":                                                                  batchTo(attributes(control)),
	"Produce: control batch with a producer id":                                               batchTo(attributes(control|transactional), producer(producerD, 0, 0)),
	"Produce: log-append-time attribute":                                                      batchTo(attributes(logAppendTime)),
	"Produce: no key for a compacted topic":                                                   to("compact", 0),
	"Produce: with key for a compacted topic":                                                 to("compact", 0, func(b *batch) { b.key = []byte("k") }),
	"Produce: acks=all, one replica only, min.insync.replicas=2 (the smaller of both counts)": to("min2", 0),
	"Produce: acks=1, one replica only, min.insync.replicas=2":                                withAcks("min2", 1),
	"Produce: timestamp too old":                                                              to("times", 0, shifted(-1_000_000)),
	"Produce: timestamp too far ahead":                                                        to("times", 0, shifted(1_000_000)),
	"Produce: internal topic __consumer_offsets (not existing yet)":                           to("__consumer_offsets", 0),
	"Produce: topic name with a space":                                                        to("a b", 0),
	"Produce: topic twice in the request": func(w *world) call {
		// Kafka appends one of the two, ours both: not to e1, whose records are counted.
		w.produce("e1", newBatch())
		r := produce("under_score", 0, newBatch())
		r.Topics = append(r.Topics, produceTopic("under_score", 0, newBatch()))
		return call{req: r}
	},
	"Produce: acks=0, unknown topic (no answer is due)": withAcks("nope", 0),
	"Produce: acks=0, valid (no answer is due)": func(*world) call {
		return call{req: acks(produce("e1", 0, newBatch()), 0), silent: true}
	},

	"InitProducerId: valid, no transactional id, first request to this broker (block of ids not there yet)": request(initProducerID(nil, 60_000, -1, -1)),
	"InitProducerId: the same again after 0.5 s": func(*world) call {
		return call{req: initProducerID(nil, 60_000, -1, -1), again: true}
	},

	"Produce: idempotent, first sequence is 5 for a new producer id (state unknown: accepted)": batchTo(producer(producerA, 0, 5)),
	"Produce: idempotent, sequence 0":                                                 batchTo(producer(producerB, 0, 0)),
	"Produce: idempotent, sequence 0 again (duplicate, answered with the old offset)": batchTo(producer(producerB, 0, 0)),
	"Produce: idempotent, sequence gap":                                               batchTo(producer(producerB, 0, 3)),
	"Produce: idempotent, epoch 1 with first sequence 3":                              batchTo(producer(producerB, 1, 3)),
	"Produce: idempotent, epoch 1 sequence 0":                                         batchTo(producer(producerB, 1, 0)),
	"Produce: idempotent, old epoch 0":                                                batchTo(producer(producerB, 0, 1)),
	"Produce: idempotent, negative sequence":                                          batchTo(producer(producerB, 1, -1)),
	"Produce: idempotent, acks=1":                                                     withAcks("e1", 1, producer(producerB, 1, 1)),
	"Produce: producer id with epoch -1":                                              batchTo(producer(producerB, -1, 2)),
	"Produce: idempotent, duplicate older than the last five batches": func(w *world) call {
		for sequence := range int32(6) {
			w.produce("e1", newBatch(producer(producerC, 0, sequence)))
		}
		return call{req: produce("e1", 0, newBatch(producer(producerC, 0, 0)))}
	},
	"Produce: transactional batch without transactional id in the request": batchTo(attributes(transactional), producer(producerD, 0, 0)),
	"Produce: transactional batch, transaction never started":              inTransaction(),
}

func inTransaction() func(*world) call {
	return func(*world) call {
		r := produce("e1", 0, newBatch(attributes(transactional), producer(producerD, 0, 0)))
		r.TransactionID = kmsg.StringPtr("tx")
		return call{req: r}
	}
}

// shifted moves the time of a batch's record.
func shifted(ms int64) func(*batch) {
	return func(b *batch) { b.FirstTimestamp, b.MaxTimestamp = b.FirstTimestamp+ms, b.MaxTimestamp+ms }
}
