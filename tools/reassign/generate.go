package reassign

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller/assign"
	"github.com/gregor-mq/gregor/tools/internal/jackson"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// generate prints the replicas that topics have and a plan that spreads them over the given brokers.
func (c *command) generate(ctx context.Context) error {
	data, err := c.readFile(topicsFile)
	if err != nil {
		return err
	}
	text, err := c.options.Value(brokerList)
	if err != nil {
		return err
	}
	ids, err := parseBrokers(text)
	if err != nil {
		return err
	}
	names, err := parseTopics(data)
	if err != nil {
		return err
	}
	if twice := duplicates(names, javamap.HashString); twice != nil {
		return throwable.Newf(throwable.AdminCommand, "List of topics to reassign contains duplicate entries: [%s]", strings.Join(twice, ", "))
	}
	current, err := c.replicasOf(ctx, names)
	if err != nil {
		return err
	}
	brokers, err := c.brokers(ctx, ids)
	if err != nil {
		return err
	}
	proposed, err := propose(current, brokers)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.env.Stdout, "Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n",
		formatPlan(current), formatPlan(proposed))
	return nil
}

func parseBrokers(list string) ([]int32, error) {
	var ids []int32
	for text := range strings.SplitSeq(strings.TrimRight(list, ","), ",") {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, throwable.New(throwable.NumberFormat, `For input string: "`+text+`"`)
		}
		ids = append(ids, int32(id))
	}
	if twice := duplicates(ids, javamap.HashInt); twice != nil {
		return nil, throwable.Newf(throwable.AdminCommand, "Broker list contains duplicate entries: [%s]", join(twice, ", "))
	}
	return ids, nil
}

// parseTopics reads a file of --topics-to-move-json-file.
func parseTopics(data []byte) ([]string, error) {
	parsed, err := jackson.Parse(data)
	if err != nil {
		return nil, throwable.New(throwable.AdminOperation, "The input string is not a valid JSON")
	}
	root, err := parsed.Object()
	if err != nil {
		return nil, err
	}
	v, err := version(root)
	if err != nil {
		return nil, err
	}
	if v != 1 {
		return nil, unsupportedVersion(v)
	}
	value, ok := root.Get("topics")
	if !ok {
		return nil, nil
	}
	elements, err := value.Array()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, element := range elements {
		fields, err := element.Object()
		if err != nil {
			return nil, err
		}
		name, err := fields.Need("topic")
		if err != nil {
			return nil, err
		}
		text, err := name.Text()
		if err != nil {
			return nil, err
		}
		names = append(names, text)
	}
	return names, nil
}

// replicasOf returns the replicas of all partitions of topics.
func (c *command) replicasOf(ctx context.Context, names []string) (map[topic.Partition][]int32, error) {
	replicas := map[topic.Partition][]int32{}
	if len(names) == 0 {
		return replicas, nil
	}
	topics, failed, err := c.admin.Topics(ctx, names)
	if err != nil {
		return nil, throwable.InFuture(err)
	}
	for _, name := range names {
		err := failed[name]
		if throwable.Code(err) == kerr.UnknownTopicOrPartition.Code {
			message := "Topic " + name + " not found."
			err = throwable.FromCode(kerr.UnknownTopicOrPartition.Code, &message)
		}
		if err != nil {
			return nil, throwable.InFuture(err)
		}
		for _, p := range topics[name].Partitions {
			replicas[topic.Partition{Topic: name, Index: p.Partition}] = p.Replicas
		}
	}
	return replicas, nil
}

// brokers returns those of the given brokers that live, with their racks unless these do not matter.
func (c *command) brokers(ctx context.Context, ids []int32) ([]assign.Broker, error) {
	_, live, err := c.admin.Cluster(ctx)
	if err != nil {
		return nil, throwable.InFuture(err)
	}
	var brokers []assign.Broker
	racked := 0
	for _, b := range live {
		if !slices.Contains(ids, b.NodeID) {
			continue
		}
		broker := assign.Broker{ID: b.NodeID}
		if b.Rack != nil && !c.options.Has(rackUnaware) {
			broker.Rack = *b.Rack
			racked++
		}
		brokers = append(brokers, broker)
	}
	if racked != 0 && racked != len(brokers) {
		return nil, throwable.New(throwable.AdminOperation, "Not all brokers have rack information. Add --disable-rack-aware in command "+
			"line to make replica assignment without rack information.")
	}
	return brokers, nil
}

// propose places each topic anew on brokers, with as many partitions as it has and as many replicas as the
// first of them has.
func propose(current map[topic.Partition][]int32, brokers []assign.Broker) (map[topic.Partition][]int32, error) {
	partitions := slices.SortedFunc(maps.Keys(current), topic.Partition.Compare)
	javamap.Sort(partitions, -1, javamap.HashPartition)
	var names []string
	counts, factors := map[string]int{}, map[string]int{}
	for _, p := range partitions {
		if counts[p.Topic]++; counts[p.Topic] == 1 {
			names = append(names, p.Topic)
			factors[p.Topic] = len(current[p])
		}
	}
	javamap.Sort(names, -1, javamap.HashString)
	proposed := map[topic.Partition][]int32{}
	for _, name := range names {
		assigned, err := assign.Assign(brokers, assign.Options{Partitions: counts[name], ReplicationFactor: factors[name]})
		if err != nil {
			return nil, placementError(err)
		}
		for i, replicas := range assigned {
			proposed[topic.Partition{Topic: name, Index: int32(i)}] = replicas
		}
	}
	return proposed, nil
}

func placementError(err error) error {
	message := err.Error()
	switch {
	case errors.Is(err, assign.ErrReplicationFactor):
		return throwable.FromCode(kerr.InvalidReplicationFactor.Code, &message)
	case errors.Is(err, assign.ErrPartitions):
		return throwable.FromCode(kerr.InvalidPartitions.Code, &message)
	}
	return throwable.New(throwable.AdminOperation, message)
}
