package conformance

// Reasons that several rows share.
const (
	noTransactions = "needs a transaction coordinator, which is not built yet"
	inOrderOfIndex = "partitions come in the order of their numbers, in Kafka in that of a hash map"
)

// differs lists the rows that a broker of ours answers differently, and how.
var differs = map[string]difference{
	"Produce: record set null": {"87 @Topics[0].Partitions[0] | null",
		"Kafka fails with a NullPointerException in the handler and never answers, here a null record set is as invalid as an empty one"},
	"DescribeConfigs: broker loggers of broker 1": {checked,
		"the entries are the loggers of log4j, one for each Java class that has logged; here there is one for each part of the broker"},
	"Metadata: topic with a partition whose only replica is on the dead broker 3": {"5 @Topics[0].Partitions[2]" +
		" [0:leader=1 epoch=0 replicas=[1] isr=[1] offline=[] 1:leader=2 epoch=0 replicas=[2] isr=[2] offline=[]" +
		" 2:leader=-1 epoch=1 replicas=[3] isr=[3] offline=[3] 3:leader=1 epoch=0 replicas=[1] isr=[1] offline=[]]" +
		" | (no message field)", inOrderOfIndex},
	"ListTransactions: unknown state in the filter": {checked, "there was a transaction where the table was recorded"},
}

// byHistory lists the rows that Kafka itself answers by what has happened to it before, which is not
// what had when the table was recorded. They are not replayed on Kafka.
var byHistory = map[string]bool{
	"Produce: record set null":                    true, // there is nothing to wait for
	"DescribeConfigs: broker loggers of broker 1": true,
}

// notReplayed lists the rows of APIs that are built for which there is no request, and why.
var notReplayed = map[string]string{
	"InitProducerId: not the coordinator":                                                               noTransactions,
	"InitProducerId: new transactional id with producer id 12345/0":                                     noTransactions,
	"InitProducerId: valid":                                                                             noTransactions,
	"InitProducerId: valid again (epoch is bumped)":                                                     noTransactions,
	"InitProducerId: known id, other producer id":                                                       noTransactions,
	"InitProducerId: known id, old epoch":                                                               noTransactions,
	"InitProducerId: known id, epoch too new":                                                           noTransactions,
	"InitProducerId: valid (new epoch)":                                                                 noTransactions,
	"InitProducerId: init during an open transaction (transaction is aborted)":                          noTransactions,
	"InitProducerId: init right after the abort":                                                        noTransactions,
	"Produce: transactional batch of an open transaction (valid)":                                       noTransactions,
	"Produce: transactional batch, partition not added to the open transaction":                         noTransactions,
	"Produce: transactional batch, partition not added, v10":                                            noTransactions,
	"Produce: transactional batch, partition not added, v11":                                            noTransactions,
	"Produce: plain idempotent batch of a producer with an open transaction":                            noTransactions,
	"Produce: transactional batch with a fenced epoch":                                                  noTransactions,
	"TxnOffsetCommit: group's partition not added to a transaction":                                     noTransactions,
	"TxnOffsetCommit: illegal generation":                                                               noTransactions,
	"TxnOffsetCommit: illegal generation, offsets partition added":                                      noTransactions,
	"TxnOffsetCommit: metadata of 5000 bytes, offsets partition added":                                  noTransactions,
	"TxnOffsetCommit: unknown member, offsets partition added":                                          noTransactions,
	"TxnOffsetCommit: group whose own partition of __consumer_offsets was not added to the transaction": noTransactions,
	"DescribeTransactions: unknown transactional id":                                                    noTransactions,
}
