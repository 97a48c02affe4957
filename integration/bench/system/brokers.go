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

// properties of both brokers: Kafka's defaults, but for where they are, and for what one broker alone
// needs. Files of deleted topics go after a second in place of a minute, so that they do not fill the
// disk.
const properties = `broker.id=0
listeners=PLAINTEXT://%s
log.dirs=%s
zookeeper.connect=%s
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.segment.delete.delay.ms=1000
`

// NewKafka prepares an Apache Kafka broker as it comes, with the heap of 1 GiB of its start script.
// zooKeeper is host:port/chroot.
func NewKafka(dir, zooKeeper string) (*Program, error) {
	return newBroker("Kafka", dir, zooKeeper, func(config string) (*exec.Cmd, error) {
		return kafka.Command(context.Background(), kafka.Options{Heap: "1g"}, "kafka-server-start", config)
	})
}

// NewGregor prepares a Gregor broker, which is the program at path.
func NewGregor(path, dir, zooKeeper string) (*Program, error) {
	return newBroker("Gregor", dir, zooKeeper, func(config string) (*exec.Cmd, error) {
		return exec.Command(path, config), nil
	})
}

func newBroker(name, dir, zooKeeper string, command func(config string) (*exec.Cmd, error)) (*Program, error) {
	p, err := newProgram(name, dir)
	if err != nil {
		return nil, err
	}
	p.zooKeeper = zooKeeper
	config := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(properties, p.Addr(), p.Data(), zooKeeper)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p.command = func() (*exec.Cmd, error) { return command(config) }
	return p, nil
}

// BareFlag is the first argument with which the benchmark's own program is the bare one; the address
// and the file follow.
const BareFlag = "-bare-program"

// NewBare prepares the bare program.
func NewBare(dir string) (*Program, error) {
	p, err := newProgram("the bare program", dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.command = func() (*exec.Cmd, error) { return exec.Command(self, BareFlag, p.Addr(), p.Data()), nil }
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
