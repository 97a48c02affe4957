package consume

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// formatter appends a record to dst as it is printed.
type formatter interface {
	format(dst []byte, r *kgo.Record) ([]byte, error)
}

// formatterFunc is a formatter without settings.
type formatterFunc func(dst []byte, r *kgo.Record) ([]byte, error)

func (f formatterFunc) format(dst []byte, r *kgo.Record) ([]byte, error) { return f(dst, r) }

// formatters are Kafka's, by class; deprecated names too.
var formatters = map[string]formatterFunc{
	"org.apache.kafka.tools.consumer.NoOpMessageFormatter":                        formatNothing,
	"org.apache.kafka.tools.consumer.OffsetsMessageFormatter":                     formatOffsetJSON,
	"org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter":               formatGroupJSON,
	"org.apache.kafka.tools.consumer.TransactionLogMessageFormatter":              formatTransactionJSON,
	"kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter":        formatOffset,
	"kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter":  formatGroup,
	"kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter": formatTransaction,
}

// deprecated are the names that Kafka 3.9 warns about, with those to use instead.
var deprecated = map[string]string{
	"kafka.tools.DefaultMessageFormatter": defaultFormatter,
	"kafka.tools.LoggingMessageFormatter": loggingFormatter,
	"kafka.tools.NoOpMessageFormatter":    "org.apache.kafka.tools.consumer.NoOpMessageFormatter",

	"kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter":        "org.apache.kafka.tools.consumer.OffsetsMessageFormatter",
	"kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter":  "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter",
	"kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter": "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter",
}

// loggingFormatter logs what it prints, at a level that Kafka's tools do not show.
const loggingFormatter = "org.apache.kafka.tools.consumer.LoggingMessageFormatter"

func formatNothing(dst []byte, _ *kgo.Record) ([]byte, error) { return dst, nil }

// newFormatter returns the formatter that the options name.
func newFormatter(env *tool.Env, options *jopt.Set) (formatter, error) {
	class, err := options.Value("formatter")
	if err != nil {
		return nil, tool.Usagef("%v", err)
	}
	if instead, ok := deprecated[class]; ok {
		fmt.Fprintf(env.Stderr, "WARNING: %s is deprecated and will be removed in the next major release. Please use %s instead\n", class, instead)
		if strings.HasPrefix(class, "kafka.tools.") {
			class = instead // the others print differently
		}
	}
	properties, err := formatterProperties(options)
	if err != nil {
		return nil, tool.Usagef("%s", throwable.From(err).Message)
	}
	if class == defaultFormatter || class == loggingFormatter {
		return newDefaultFormatter(env, properties), nil
	}
	if f, ok := formatters[class]; ok {
		return f, nil
	}
	return nil, tool.Usagef("%s", class)
}

func formatterProperties(options *jopt.Set) (clientconf.Properties, error) {
	properties, err := clientconf.LoadOption(options, "formatter-config")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"key-deserializer", "value-deserializer"} {
		class, err := options.Value(name)
		if err != nil {
			return nil, err
		}
		if class != "" {
			properties[strings.ReplaceAll(name, "-", ".")] = class
		}
	}
	properties.Merge(clientconf.ParsePairs(options.Values("property")))
	return properties, nil
}

// plain is Kafka's DefaultMessageFormatter.
type plain struct {
	timestamp, partition, offset, headers, key, value       bool
	keySeparator, lineSeparator, headersSeparator           string
	null                                                    []byte
	keyDeserializer, valueDeserializer, headersDeserializer deserializer // nil: bytes as they are
}

func newDefaultFormatter(env *tool.Env, properties clientconf.Properties) *plain {
	isTrue := func(name string, byDefault bool) bool {
		if value, ok := properties[name]; ok {
			return strings.EqualFold(strings.TrimSpace(value), "true")
		}
		return byDefault
	}
	text := func(name, byDefault string) string {
		if value, ok := properties[name]; ok {
			return value
		}
		return byDefault
	}
	return &plain{
		timestamp:           isTrue("print.timestamp", false),
		partition:           isTrue("print.partition", false),
		offset:              isTrue("print.offset", false),
		headers:             isTrue("print.headers", false),
		key:                 isTrue("print.key", false),
		value:               isTrue("print.value", true),
		keySeparator:        text("key.separator", "\t"),
		lineSeparator:       text("line.separator", "\n"),
		headersSeparator:    text("headers.separator", ","),
		null:                []byte(text("null.literal", "null")),
		keyDeserializer:     newDeserializer(env, properties, "key.deserializer"),
		valueDeserializer:   newDeserializer(env, properties, "value.deserializer"),
		headersDeserializer: newDeserializer(env, properties, "headers.deserializer"),
	}
}

// format appends the columns asked for, each followed by the key separator, the last by the line separator.
func (p *plain) format(dst []byte, r *kgo.Record) ([]byte, error) {
	separate := func(dst []byte, more bool) []byte {
		if more {
			return append(dst, p.keySeparator...)
		}
		return append(dst, p.lineSeparator...)
	}
	if p.timestamp {
		dst = separate(appendTimestamp(dst, r), p.partition || p.offset || p.headers || p.key || p.value)
	}
	if p.partition {
		dst = strconv.AppendInt(append(dst, "Partition:"...), int64(r.Partition), 10)
		dst = separate(dst, p.offset || p.headers || p.key || p.value)
	}
	if p.offset {
		dst = strconv.AppendInt(append(dst, "Offset:"...), r.Offset, 10)
		dst = separate(dst, p.headers || p.key || p.value)
	}
	var err error
	if p.headers {
		if dst, err = p.appendHeaders(dst, r); err != nil {
			return dst, err
		}
		dst = separate(dst, p.key || p.value)
	}
	if p.key {
		if dst, err = p.appendField(dst, r.Key, p.keyDeserializer); err != nil {
			return dst, err
		}
		dst = separate(dst, p.value)
	}
	if p.value {
		if dst, err = p.appendField(dst, r.Value, p.valueDeserializer); err != nil {
			return dst, err
		}
		dst = separate(dst, false)
	}
	return dst, nil
}

func appendTimestamp(dst []byte, r *kgo.Record) []byte {
	switch r.Attrs.TimestampType() {
	case 0:
		dst = append(dst, "CreateTime:"...)
	case 1:
		dst = append(dst, "LogAppendTime:"...)
	default:
		return append(dst, "NO_TIMESTAMP"...)
	}
	return strconv.AppendInt(dst, r.Timestamp.UnixMilli(), 10)
}

func (p *plain) appendHeaders(dst []byte, r *kgo.Record) ([]byte, error) {
	if len(r.Headers) == 0 {
		return append(dst, "NO_HEADERS"...), nil
	}
	var err error
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, p.headersSeparator...)
		}
		dst = append(javastring.AppendUTF8(dst, []byte(h.Key)), ':')
		if dst, err = p.appendField(dst, h.Value, p.headersDeserializer); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendField appends a key, value or header. Kafka gives null to a deserializer as the null literal.
func (p *plain) appendField(dst, field []byte, d deserializer) ([]byte, error) {
	if field == nil {
		field = p.null
	}
	if d == nil {
		return append(dst, field...), nil
	}
	return d(dst, field)
}
