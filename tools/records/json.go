package records

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// parseOffsets reads the file of offsets: the offset of each partition, and the partitions in the order
// of the file. A partition may be there once. The errors are Kafka's.
func parseOffsets(data []byte) (map[topic.Partition]int64, []topic.Partition, error) {
	if !json.Valid(data) {
		return nil, nil, throwable.New(throwable.AdminOperation, "The input string is not a valid JSON")
	}
	root, err := object(data)
	if err != nil {
		return nil, nil, err
	}
	if raw, ok := root["version"]; ok {
		version, err := integer(raw, "Integer", 32)
		if err != nil {
			return nil, nil, err
		}
		if version != 1 {
			return nil, nil, throwable.Newf(throwable.AdminOperation, "Not supported version field value %d", version)
		}
	}
	raw, ok := root["partitions"]
	if !ok {
		return nil, nil, throwable.New(throwable.AdminOperation, "Missing partitions field")
	}
	var elements []json.RawMessage
	if raw = bytes.TrimSpace(raw); raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
		return nil, nil, mapping("Expected JSON array, received " + compact(raw))
	}
	return collect(elements)
}

func collect(elements []json.RawMessage) (map[topic.Partition]int64, []topic.Partition, error) {
	offsets := map[topic.Partition]int64{}
	var order []topic.Partition
	var duplicates []string
	for _, element := range elements {
		partition, offset, err := parseElement(element)
		if err != nil {
			return nil, nil, err
		}
		if _, twice := offsets[partition]; twice {
			duplicates = append(duplicates, partition.String())
			continue
		}
		offsets[partition] = offset
		order = append(order, partition)
	}
	if duplicates != nil {
		return nil, nil, throwable.New(throwable.AdminCommand,
			"Offset json file contains duplicate topic partitions: "+strings.Join(duplicates, ","))
	}
	return offsets, order, nil
}

func parseElement(element json.RawMessage) (topic.Partition, int64, error) {
	var p topic.Partition
	fields, err := object(element)
	if err != nil {
		return p, 0, err
	}
	for _, name := range []string{"topic", "partition", "offset"} {
		if _, ok := fields[name]; !ok {
			return p, 0, mapping("No such field exists: `" + name + "`")
		}
	}
	if name := bytes.TrimSpace(fields["topic"]); name[0] != '"' || json.Unmarshal(name, &p.Topic) != nil {
		return p, 0, mapping("Expected `String` value, received " + compact(fields["topic"]))
	}
	index, err := integer(fields["partition"], "Integer", 32)
	if err != nil {
		return p, 0, err
	}
	p.Index = int32(index)
	offset, err := integer(fields["offset"], "Long", 64)
	return p, offset, err
}

func object(data []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if data = bytes.TrimSpace(data); data[0] != '{' || json.Unmarshal(data, &fields) != nil {
		return nil, mapping("Expected JSON object, received " + compact(data))
	}
	return fields, nil
}

func integer(data []byte, kind string, bits int) (int64, error) {
	value, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, bits)
	if err != nil {
		return 0, mapping("Expected `" + kind + "` value, received " + compact(data))
	}
	return value, nil
}

func mapping(message string) error { return throwable.New(throwable.JSONMapping, message) }

func compact(data []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return string(data)
	}
	return b.String()
}
