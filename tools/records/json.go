package records

import (
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/jackson"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// parseOffsets reads the file of offsets: the offset of each partition, and the partitions in the order
// of the file. A partition may be there once. The errors are Kafka's.
func parseOffsets(data []byte) (map[topic.Partition]int64, []topic.Partition, error) {
	parsed, err := jackson.Parse(data)
	if err != nil {
		return nil, nil, throwable.New(throwable.AdminOperation, "The input string is not a valid JSON")
	}
	root, err := parsed.Object()
	if err != nil {
		return nil, nil, err
	}
	if value, ok := root.Get("version"); ok {
		version, err := value.Int32()
		if err != nil {
			return nil, nil, err
		}
		if version != 1 {
			return nil, nil, throwable.Newf(throwable.AdminOperation, "Not supported version field value %d", version)
		}
	}
	partitions, ok := root.Get("partitions")
	if !ok {
		return nil, nil, throwable.New(throwable.AdminOperation, "Missing partitions field")
	}
	elements, err := partitions.Array()
	if err != nil {
		return nil, nil, err
	}
	return collect(elements)
}

func collect(elements []jackson.Value) (map[topic.Partition]int64, []topic.Partition, error) {
	offsets := map[topic.Partition]int64{}
	var order []topic.Partition
	var duplicates []topic.Partition
	for _, element := range elements {
		partition, offset, err := parseElement(element)
		if err != nil {
			return nil, nil, err
		}
		if _, twice := offsets[partition]; twice {
			duplicates = append(duplicates, partition)
			continue
		}
		offsets[partition] = offset
		order = append(order, partition)
	}
	if duplicates != nil {
		var names []string
		for _, p := range javamap.Set(duplicates, javamap.HashPartition) {
			names = append(names, p.String())
		}
		return nil, nil, throwable.New(throwable.AdminCommand,
			"Offset json file contains duplicate topic partitions: "+strings.Join(names, ","))
	}
	return offsets, order, nil
}

func parseElement(element jackson.Value) (p topic.Partition, offset int64, err error) {
	fields, err := element.Object()
	if err != nil {
		return p, 0, err
	}
	values := map[string]jackson.Value{}
	for _, name := range []string{"topic", "partition", "offset"} {
		if values[name], err = fields.Need(name); err != nil {
			return p, 0, err
		}
	}
	if p.Topic, err = values["topic"].Text(); err != nil {
		return p, 0, err
	}
	if p.Index, err = values["partition"].Int32(); err != nil {
		return p, 0, err
	}
	offset, err = values["offset"].Int64()
	return p, offset, err
}
