package topics

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
)

// setting is one setting of a topic; own means that it is not Kafka's default.
type setting struct {
	name, value string
	own         bool
}

// report is what --describe is restricted to; without restriction everything is shown.
type report struct{ underReplicated, unavailable, underMinISR, atMinISR, overridden bool }

// partitionsOnly reports whether only some partitions are asked for, without the lines about topics.
func (r report) partitionsOnly() bool {
	return r.underReplicated || r.unavailable || r.underMinISR || r.atMinISR
}

// printer writes descriptions of topics.
type printer struct {
	out    io.Writer
	report report
	live   map[int32]bool
}

func (p *printer) topic(t kmsg.MetadataResponseTopic, settings []setting, moves map[topic.Partition]client.Reassignment) error {
	if !p.report.partitionsOnly() && len(t.Partitions) > 0 {
		p.head(t, settings, moves)
	}
	if p.report.overridden {
		return nil
	}
	minISR, err := minInsyncReplicas(settings)
	if err != nil && (p.report.underMinISR || p.report.atMinISR) {
		return err
	}
	for _, partition := range t.Partitions {
		m, moving := moves[topic.Partition{Topic: *t.Topic, Index: partition.Partition}]
		if !p.report.partitionsOnly() || p.reported(partition, m, minISR) {
			p.partition(*t.Topic, partition, m, moving)
		}
	}
	return nil
}

// head writes the line about the topic itself.
func (p *printer) head(t kmsg.MetadataResponseTopic, settings []setting, moves map[topic.Partition]client.Reassignment) {
	var own []string
	for _, s := range settings {
		if s.own {
			own = append(own, s.name+"="+s.value)
		}
	}
	if p.report.overridden && own == nil {
		return
	}
	first := t.Partitions[0]
	factor := replicas(first, moves[topic.Partition{Topic: *t.Topic, Index: first.Partition}])
	id := ""
	if topicID := topic.ID(t.TopicID); !topicID.IsZero() {
		id = "\tTopicId: " + topicID.String()
	}
	fmt.Fprintf(p.out, "Topic: %s%s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
		*t.Topic, id, len(t.Partitions), factor, strings.Join(own, ","))
}

// partition writes the line about one partition.
func (p *printer) partition(name string, t kmsg.MetadataResponseTopicPartition, m client.Reassignment, moving bool) {
	leader := "none"
	if p.live[t.Leader] {
		leader = strconv.Itoa(int(t.Leader))
	}
	line := fmt.Sprintf("\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s",
		name, t.Partition, leader, join(t.Replicas, ","), join(t.ISR, ","))
	if moving {
		line += "\tAdding Replicas: " + join(m.Adding, ",") + "\tRemoving Replicas: " + join(m.Removing, ",")
	}
	fmt.Fprintln(p.out, line+"\tElr: N/A\tLastKnownElr: N/A") // clusters on ZooKeeper have no ELR (KIP-966)
}

// reported reports whether one of the reports asked for is about the partition.
func (p *printer) reported(t kmsg.MetadataResponseTopicPartition, m client.Reassignment, minISR int) bool {
	led := p.live[t.Leader]
	return p.report.underReplicated && replicas(t, m) > len(t.ISR) ||
		p.report.unavailable && !led ||
		p.report.underMinISR && (!led || len(t.ISR) < minISR) ||
		p.report.atMinISR && len(t.ISR) == minISR
}

// replicas returns the replication factor, not counting replicas that are only on their way in.
func replicas(t kmsg.MetadataResponseTopicPartition, m client.Reassignment) int {
	changing := slices.Concat(m.Removing, m.Adding)
	if slices.ContainsFunc(t.Replicas, func(id int32) bool { return slices.Contains(changing, id) }) {
		return len(m.Replicas) - len(m.Adding)
	}
	return len(t.Replicas)
}

func minInsyncReplicas(settings []setting) (int, error) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == "min.insync.replicas" })
	if i < 0 {
		return 0, errors.New("the broker did not tell the topic's min.insync.replicas; it needs DescribeConfigs rights")
	}
	return strconv.Atoi(settings[i].value)
}
