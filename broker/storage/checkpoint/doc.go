// Package checkpoint reads and writes the small files beside the logs, byte for byte as Kafka does.
//
//	recovery-point-offset-checkpoint  in a log directory: topic, partition, offset
//	log-start-offset-checkpoint
//	replication-offset-checkpoint
//	cleaner-offset-checkpoint
//	leader-epoch-checkpoint           in a replica's directory: epoch, first offset
//	partition.metadata                in a replica's directory: the topic's id
//	meta.properties                   in a log directory: which broker and cluster it belongs to
//	.kafka_cleanshutdown              in a log directory, while the broker is stopped: no recovery needed
//
// A checkpoint is text:
//
//	0            version
//	2            number of entries
//	orders 0 17  entries, one a line
//	orders 1 4
//
// All are replaced as a whole, through a synced temporary file and a rename; after a crash they hold
// the old content or the new. The functions that write return once the content is durable.
package checkpoint
