package elect

import (
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/jackson"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// selected returns the partitions that the options name, nil for all.
func selected(options *jopt.Set) ([]topic.Partition, error) {
	if options.Has(jsonFile) {
		path, err := options.Value(jsonFile)
		if err != nil {
			return nil, err
		}
		data, err := tool.ReadFile(path)
		if err != nil {
			return nil, throwable.InRuntime(err)
		}
		return parsePartitions(data)
	}
	name, err := options.Value(topicName)
	if err != nil {
		return nil, err
	}
	index, given, err := options.Int32(partitionID)
	if err != nil || !given {
		return nil, err
	}
	return []topic.Partition{{Topic: name, Index: index}}, nil
}

// parsePartitions reads a file of partitions, of which none may be there twice.
func parsePartitions(data []byte) ([]topic.Partition, error) {
	parsed, err := jackson.Parse(data)
	if err != nil {
		return nil, throwable.New(throwable.AdminOperation, "Replica election data is empty")
	}
	root, err := parsed.Object()
	if err != nil {
		return nil, throwable.InRuntime(err)
	}
	value, ok := root.Get("partitions")
	if !ok {
		return nil, throwable.New(throwable.AdminOperation, `Replica election data is missing "partitions" field`)
	}
	elements, err := value.Array()
	if err != nil {
		return nil, throwable.InRuntime(err)
	}
	partitions, duplicates := []topic.Partition{}, []topic.Partition(nil) // not nil: none, rather than all
	seen := map[topic.Partition]int{}
	for _, element := range elements {
		p, err := parsePartition(element)
		if err != nil {
			return nil, throwable.InRuntime(err)
		}
		switch seen[p]++; seen[p] {
		case 1:
			partitions = append(partitions, p)
		case 2:
			duplicates = append(duplicates, p)
		}
	}
	if duplicates != nil {
		javamap.Sort(duplicates, -1, javamap.HashPartition)
		var names []string
		for _, p := range duplicates {
			names = append(names, p.String())
		}
		return nil, throwable.Newf(throwable.AdminOperation, "Replica election data contains duplicate partitions: [%s]", strings.Join(names, ", "))
	}
	return partitions, nil
}

func parsePartition(element jackson.Value) (p topic.Partition, err error) {
	fields, err := element.Object()
	if err != nil {
		return p, err
	}
	name, err := fields.Need("topic")
	if err != nil {
		return p, err
	}
	if p.Topic, err = name.Text(); err != nil {
		return p, err
	}
	index, err := fields.Need("partition")
	if err != nil {
		return p, err
	}
	p.Index, err = index.Int32()
	return p, err
}
