package reassign

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/jackson"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// anyDir leaves the choice of a directory to the broker.
const anyDir = "any"

// target is where a plan puts a partition.
type target struct {
	partition topic.Partition
	replicas  []int32
}

// plan is what a file of --reassignment-json-file says: partitions as they stand there, even twice, and the
// directories of replicas for which one is named.
type plan struct {
	targets []target
	dirs    map[client.Replica]string
}

// partitions returns the partitions of the plan, each once, in order.
func (p *plan) partitions() []topic.Partition {
	seen := map[topic.Partition]bool{}
	for _, t := range p.targets {
		seen[t.partition] = true
	}
	return slices.SortedFunc(maps.Keys(seen), topic.Partition.Compare)
}

// replicas returns the replicas of each partition; of a partition that stands there twice, the last ones.
func (p *plan) replicas() map[topic.Partition][]int32 {
	replicas := map[topic.Partition][]int32{}
	for _, t := range p.targets {
		replicas[t.partition] = t.replicas
	}
	return replicas
}

// topics returns the topics of the plan in the order in which Kafka names them.
func (p *plan) topics() []string {
	var names []string
	seen := map[string]bool{}
	for _, t := range p.targets {
		if !seen[t.partition.Topic] {
			seen[t.partition.Topic] = true
			names = append(names, t.partition.Topic)
		}
	}
	javamap.Sort(names, -1, javamap.HashString)
	return names
}

// version returns the version that a file says it has, 1 by default.
func version(root jackson.Object) (int32, error) {
	value, ok := root.Get("version")
	if !ok {
		return 1, nil
	}
	return value.Int32()
}

func unsupportedVersion(v int32) error {
	return throwable.Newf(throwable.AdminOperation, "Not supported version field value %d", v)
}

// parsePlan reads a plan without checking that it makes sense.
func parsePlan(data []byte) (*plan, error) {
	parsed, err := jackson.Parse(data)
	if err != nil {
		cause := throwable.From(err)
		return nil, &throwable.Exception{Class: throwable.AdminOperation, Message: cause.Message, Cause: cause}
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
	p := &plan{dirs: map[client.Replica]string{}}
	value, ok := root.Get("partitions")
	if !ok {
		return p, nil
	}
	elements, err := value.Array()
	if err != nil {
		return nil, err
	}
	for _, element := range elements {
		if err := p.parseElement(element); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) parseElement(element jackson.Value) error {
	fields, err := element.Object()
	if err != nil {
		return err
	}
	var t target
	if t.partition, t.replicas, err = parseTarget(fields); err != nil {
		return err
	}
	dirs := slices.Repeat([]string{anyDir}, len(t.replicas))
	if value, ok := fields.Get("log_dirs"); ok {
		if dirs, err = listOf(value, jackson.Value.Text); err != nil {
			return err
		}
	}
	if len(dirs) != len(t.replicas) {
		return throwable.Newf(throwable.AdminCommand, "Size of replicas list [%s] is different from size of log dirs list [%s] for partition %s",
			join(t.replicas, ", "), strings.Join(dirs, ", "), t.partition)
	}
	p.targets = append(p.targets, t)
	for i, dir := range dirs {
		if dir != anyDir {
			p.dirs[client.Replica{Partition: t.partition, Broker: t.replicas[i]}] = dir
		}
	}
	return nil
}

func parseTarget(fields jackson.Object) (p topic.Partition, replicas []int32, err error) {
	name, err := fields.Need("topic")
	if err != nil {
		return p, nil, err
	}
	if p.Topic, err = name.Text(); err != nil {
		return p, nil, err
	}
	index, err := fields.Need("partition")
	if err != nil {
		return p, nil, err
	}
	if p.Index, err = index.Int32(); err != nil {
		return p, nil, err
	}
	value, err := fields.Need("replicas")
	if err != nil {
		return p, nil, err
	}
	replicas, err = listOf(value, jackson.Value.Int32)
	return p, replicas, err
}

// listOf decodes an array of one kind of values.
func listOf[T any](value jackson.Value, decode func(jackson.Value) (T, error)) ([]T, error) {
	elements, err := value.List()
	if err != nil {
		return nil, err
	}
	decoded := make([]T, len(elements))
	for i, element := range elements {
		if decoded[i], err = decode(element); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

// parseExecutable reads a plan that can be executed: it is not empty, and nothing stands there twice.
func parseExecutable(data []byte) (*plan, error) {
	p, err := parsePlan(data)
	if err != nil {
		return nil, err
	}
	refuse := func(format string, args ...any) (*plan, error) {
		return nil, throwable.Newf(throwable.AdminCommand, format, args...)
	}
	if len(p.targets) == 0 {
		return refuse("Partition reassignment list cannot be empty")
	}
	if slices.ContainsFunc(p.targets, func(t target) bool { return len(t.replicas) == 0 }) {
		return refuse("Partition replica list cannot be empty")
	}
	var partitions []topic.Partition
	var repeated []string
	for _, t := range p.targets {
		partitions = append(partitions, t.partition)
		if twice := duplicates(t.replicas, javamap.HashInt); twice != nil {
			repeated = append(repeated, fmt.Sprintf("%s contains multiple entries for %s", t.partition, join(twice, ",")))
		}
	}
	if twice := duplicates(partitions, javamap.HashPartition); twice != nil {
		return refuse("Partition reassignment contains duplicate topic partitions: %s", strings.Join(texts(twice), ","))
	}
	if repeated != nil {
		return refuse("Partition replica lists may not contain duplicate entries: %s", strings.Join(repeated, ". "))
	}
	return p, nil
}

// duplicates returns the elements that are there more than once, in the order of a hash set.
func duplicates[T comparable](elements []T, hash func(T) int32) []T {
	var twice []T
	seen := map[T]int{}
	for _, element := range elements {
		if seen[element]++; seen[element] == 2 {
			twice = append(twice, element)
		}
	}
	javamap.Sort(twice, -1, hash)
	return twice
}

// formatPlan returns a file that puts partitions on the given replicas, with directories left open.
func formatPlan(replicas map[topic.Partition][]int32) string {
	var parts []string
	for _, p := range slices.SortedFunc(maps.Keys(replicas), topic.Partition.Compare) {
		dirs := slices.Repeat([]string{jackson.Quote(anyDir)}, len(replicas[p]))
		parts = append(parts, fmt.Sprintf(`{"topic":%s,"partition":%d,"replicas":[%s],"log_dirs":[%s]}`,
			jackson.Quote(p.Topic), p.Index, join(replicas[p], ","), strings.Join(dirs, ",")))
	}
	return `{"version":1,"partitions":[` + strings.Join(parts, ",") + `]}`
}
