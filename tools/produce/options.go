package produce

import (
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
)

func options() *jopt.Parser {
	value := func(name, kind, byDefault, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Value: kind, Default: byDefault, Doc: doc}
	}
	number := func(name, kind, byDefault, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: jopt.Integer, Value: kind, Default: byDefault, Doc: doc}
	}
	long := func(name, kind, byDefault, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: jopt.Long, Value: kind, Default: byDefault, Doc: doc}
	}
	bootstrap := value("bootstrap-server", "server to connect to", "", "REQUIRED: brokers to ask first, as host:port,host:port.")
	bootstrap.RequiredUnless = "broker-list"
	return jopt.New(
		bootstrap,
		value("broker-list", "broker-list", "", "DEPRECATED name of --bootstrap-server."),
		value("topic", "topic", "", "REQUIRED: the topic to send to."),
		jopt.Option{Name: "sync", Doc: "Wait for each record to be acknowledged before reading the next, and end at the first that is not."},
		jopt.Option{Name: "compression-codec", Arity: jopt.Optional, Value: "compression-codec",
			Doc: "none, gzip, snappy, lz4 or zstd; without a value gzip."},
		number("batch-size", "size", "16384", "How many bytes of records a batch holds. Without this option, "+
			"--max-partition-memory-bytes or batch.size batches may be larger than the default says."),
		number("message-send-max-retries", "", "3", "How often a batch is sent again (retries)."),
		long("retry-backoff-ms", "", "100", "How long to wait before that (retry.backoff.ms)."),
		long("timeout", "timeout_ms", "1000", "How long a batch may wait for more records (linger.ms)."),
		value("request-required-acks", "request required acks", "-1", "Who must have a record for it to be acknowledged: "+
			"all replicas in the ISR (all, -1), the leader (1) or nobody (0)."),
		number("request-timeout-ms", "request timeout ms", "1500", "How long a broker may take to answer (request.timeout.ms)."),
		long("metadata-expiry-ms", "metadata expiration interval", "300000", "After what time to ask anew where "+
			"partitions are (metadata.max.age.ms)."),
		long("max-block-ms", "max block on send", "60000", "How long a record may wait for the topic or for memory (max.block.ms)."),
		long("max-memory-bytes", "total memory in bytes", "33554432", "How many bytes of records may wait (buffer.memory)."),
		number("max-partition-memory-bytes", "memory in bytes per partition", "16384", "As --batch-size (batch.size); wins over it."),
		value("line-reader", "reader_class", defaultReader, "The class that reads lines; only the default is available."),
		number("socket-buffer-size", "size", "102400", "Size of the socket's send buffer (send.buffer.bytes)."),
		value("property", "prop", "", "A property of the line reader, as key=value; may be repeated:\n"+
			" parse.key=false\n parse.headers=false\n ignore.error=false\n key.separator=\\t\n headers.delimiter=\\t\n"+
			" headers.separator=,\n headers.key.separator=:\n null.marker=   (what stands for null; default: nothing)\n"+
			"With parse.headers and parse.key a line is\n \"h1:v1,h2:v2...\\tkey\\tvalue\"\n"+
			"with one of them, one part less."),
		value("reader-config", "config file", "", "File with properties of the line reader; --property wins over it."),
		value("producer-property", "producer_prop", "", "A property of the producer, as key=value; may be repeated."),
		value("producer.config", "config file", "", "File with properties of the producer; --producer-property wins over it."),
	)
}

// numbers are the options that stand for properties, in the order in which they are read.
var numbers = []struct{ property, option string }{
	{"linger.ms", "timeout"},
	{"acks", "request-required-acks"},
	{"request.timeout.ms", "request-timeout-ms"},
	{"retries", "message-send-max-retries"},
	{"retry.backoff.ms", "retry-backoff-ms"},
	{"send.buffer.bytes", "socket-buffer-size"},
	{"buffer.memory", "max-memory-bytes"},
	{"batch.size", "batch-size"},
	{"batch.size", "max-partition-memory-bytes"},
	{"metadata.max.age.ms", "metadata-expiry-ms"},
	{"max.block.ms", "max-block-ms"},
}

// mergeOptions sets the properties that options stand for. Defaults of the options win over those of
// the properties, but not over properties that are set; the sizes of batches and of the socket's buffer
// stay unset unless asked for, to be chosen for speed.
func mergeOptions(properties clientconf.Properties, options *jopt.Set) error {
	for _, n := range numbers {
		merge := properties.MergeNumber
		switch n.property {
		case "acks":
			merge = properties.MergeOption
		case "batch.size", "send.buffer.bytes":
			if !options.Has(n.option) {
				continue
			}
		}
		if err := merge(n.property, options, n.option); err != nil {
			return err
		}
	}
	return nil
}
