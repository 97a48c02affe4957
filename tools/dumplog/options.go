package dumplog

import (
	"math"
	"strconv"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// The names of the options.
const (
	files           = "files"
	printData       = "print-data-log"
	deepIteration   = "deep-iteration"
	skipMetadata    = "skip-record-metadata"
	indexSanity     = "index-sanity-check"
	verifyIndex     = "verify-index-only"
	maxMessageSize  = "max-message-size"
	maxBytes        = "max-bytes"
	keyDecoder      = "key-decoder-class"
	valueDecoder    = "value-decoder-class"
	offsetsDecoder  = "offsets-decoder"
	txnDecoder      = "transaction-log-decoder"
	metadataDecoder = "cluster-metadata-decoder"
	remoteDecoder   = "remote-log-metadata-decoder"
)

func options() *jopt.Parser {
	flag := func(name, doc string) jopt.Option { return jopt.Option{Name: name, Doc: doc} }
	size := func(name, byDefault, doc string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Required, Kind: jopt.Integer, Value: "size", Default: byDefault, Doc: doc}
	}
	decoder := func(name, of string) jopt.Option {
		return jopt.Option{Name: name, Arity: jopt.Optional, Default: decoderPackage + "StringDecoder", Doc: "Print " + of +
			" as this class of Kafka's decodes them: StringDecoder, LongDecoder, IntegerDecoder or DefaultDecoder. Others cannot be loaded."}
	}
	return jopt.New(
		jopt.Option{Name: files, Arity: jopt.Required, Value: "file1, file2, ...", Doc: "REQUIRED: the files, separated by commas."},
		flag(printData, "Print the records of a log with keys and values. Each of the decoders implies it."),
		flag(deepIteration, "Go through the records of each batch; find offsets that do not follow each other. --print-data-log implies it."),
		flag(skipMetadata, "Print keys and values only."),
		flag(indexSanity, "Check an index only as a broker does when it starts."),
		flag(verifyIndex, "Compare an index with the log without printing it."),
		size(maxMessageSize, "5242880", "Bytes of the largest batch that an offset index may point to."),
		size(maxBytes, strconv.Itoa(math.MaxInt32), "Read only so many bytes of each log."),
		decoder(keyDecoder, "keys"),
		decoder(valueDecoder, "values"),
		flag(offsetsDecoder, "Print the records of __consumer_offsets."),
		flag(txnDecoder, "Print the records of __transaction_state."),
		flag(metadataDecoder, "Kafka's option for the metadata log of KRaft; refused."),
		flag(remoteDecoder, "Kafka's option for the metadata of tiered storage; refused."),
	)
}

// refuse returns an error for the options that are about what this broker does not have.
func refuse(options *jopt.Set) error {
	if options.Any(offsetsDecoder, txnDecoder) {
		return nil // they go first in Kafka's tool
	}
	for name, what := range map[string]string{metadataDecoder: "metadata log of KRaft", remoteDecoder: "metadata of tiered storage"} {
		if options.Has(name) {
			return throwable.Newf(throwable.IllegalArgument, "Option %s is not supported: the %s cannot be decoded", name, what)
		}
	}
	return nil
}

// prints reports whether keys and values are printed.
func (d *dump) prints() bool {
	return d.options.Any(printData, offsetsDecoder, txnDecoder, valueDecoder, keyDecoder)
}
