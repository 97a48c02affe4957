package system

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gregor-mq/gregor/integration/kafka"
)

// properties of both brokers: Kafka's defaults, but for who and where they are. Files of deleted topics go after a second
// in place of a minute, so that they do not fill the disk.
const properties = `broker.id=%d
listeners=PLAINTEXT://%s
log.dirs=%s
zookeeper.connect=%s
log.segment.delete.delay.ms=1000
%s`

// Single is what a broker needs that is alone.
const Single = `offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
`

// Member is a broker's place in a cluster.
type Member struct {
	ID         int
	Properties string // lines
}

// alone is a cluster of one.
var alone = Member{Properties: Single}

// NewKafka prepares an Apache Kafka broker as it comes, with the heap of 1 GiB of its start script.
// zooKeeper is host:port/chroot.
func NewKafka(dir, zooKeeper string) (*Program, error) { return NewKafkaMember(dir, zooKeeper, alone) }

// NewKafkaMember is NewKafka for a broker of a cluster, which is all brokers on zooKeeper.
func NewKafkaMember(dir, zooKeeper string, m Member) (*Program, error) {
	return newBroker("Kafka", dir, zooKeeper, m, func(config string) (*exec.Cmd, error) {
		return kafka.Command(context.Background(), kafka.Options{Heap: "1g", TempDir: dir}, "kafka-server-start", config)
	})
}

// NewGregor prepares a Gregor broker, which is the program at path.
func NewGregor(path, dir, zooKeeper string) (*Program, error) {
	return NewGregorMember(path, dir, zooKeeper, alone)
}

// NewGregorMember is NewGregor for a broker of a cluster, which is all brokers on zooKeeper.
func NewGregorMember(path, dir, zooKeeper string, m Member) (*Program, error) {
	return newBroker("Gregor", dir, zooKeeper, m, func(config string) (*exec.Cmd, error) {
		return exec.Command(path, config), nil
	})
}

func newBroker(name, dir, zooKeeper string, m Member, command func(config string) (*exec.Cmd, error)) (*Program, error) {
	p, err := newProgram(name, dir)
	if err != nil {
		return nil, err
	}
	p.zooKeeper, p.id = zooKeeper, m.ID
	config := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(properties, m.ID, p.Addr(), p.Data(), zooKeeper, m.Properties)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p.command = func() (*exec.Cmd, error) { return command(config) }
	return p, nil
}

// HasData reports whether the broker still has files of a topic that it has been told to delete.
func (p *Program) HasData(topic string) (bool, error) {
	entries, err := os.ReadDir(p.Data())
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		// Directories of partitions are topic-0, and topic-0.<id>-delete once they are deleted.
		if strings.HasPrefix(e.Name(), topic+"-") {
			return true, nil
		}
	}
	return false, nil
}
