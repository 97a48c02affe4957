package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/gregor-mq/gregor/broker/properties"
	"github.com/gregor-mq/gregor/integration/cluster/netns"
	"github.com/gregor-mq/gregor/integration/kafka"
)

// Props are properties of a broker, by Kafka's names.
type Props map[string]string

// How long brokers get. A JVM on a machine that is busy with other tests is slow, and a broker that stops waits for the disk, several times
// for each log, which may be busy with the files of other tests.
const (
	brokerStart = 2 * time.Minute
	kafkaStart  = 3 * time.Minute
	brokerStop  = 3 * time.Minute
)

// BrokerOptions describe a broker to be started.
type BrokerOptions struct {
	ID        int32
	Dir       string // for its configuration, data and log
	ZooKeeper string // host:port/chroot
	Props     Props  // over those that the harness sets
	// Node is where the process runs, nil on loopback; Observer, then, is where the harness asks
	// ZooKeeper from.
	Node, Observer *netns.Node
	// Kafka starts an Apache Kafka broker in place of Gregor's.
	Kafka bool
	// KafkaOptions say how its JVM is started.
	KafkaOptions kafka.Options
}

// A Broker is one broker in a process of its own. Its port and data stay the same over restarts.
type Broker struct {
	opts    BrokerOptions
	host    string
	port    int
	shared  bool // both implementations are started with server.properties
	files   int  // ulimit -n; 0: as it is
	process process
}

// NewBroker starts a broker on a free port, that of its own listeners property, or the usual one of its node, and waits until it
// is registered in ZooKeeper and takes connections. The caller ends it with Stop or Kill.
func NewBroker(o BrokerOptions) (*Broker, error) {
	host, ports, err := place(o.Node, 9092)
	if own, ok := o.Props["listeners"]; ok && o.Node == nil && err == nil {
		ports[0], err = strconv.Atoi(own[strings.LastIndexByte(own, ':')+1:])
	}
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	b := &Broker{opts: o, host: host, port: ports[0]}
	b.process.name = fmt.Sprintf("broker %d", o.ID)
	b.process.logFile = filepath.Join(o.Dir, "broker.log")
	b.process.command = b.command
	b.process.node = o.Node
	return b, b.Start()
}

// ID returns the broker's id.
func (b *Broker) ID() int32 { return b.opts.ID }

// Addr returns the address that clients connect to, host:port.
func (b *Broker) Addr() string { return b.host + ":" + strconv.Itoa(b.port) }

// Node returns the node that the broker runs on, nil on loopback.
func (b *Broker) Node() *netns.Node { return b.opts.Node }

// DataDir returns the directory of the broker's logs, unless Props name another.
func (b *Broker) DataDir() string { return filepath.Join(b.opts.Dir, "data") }

// Prop returns the value of a property that the broker is started with, "" if it has none of its own.
func (b *Broker) Prop(name string) string { return b.props()[name] }

// LogFile returns the file that the broker's output goes to, over restarts.
func (b *Broker) LogFile() string { return b.process.logFile }

// PID returns the id of the process, 0 if it does not run.
func (b *Broker) PID() int { return b.process.pid() }

// Log returns the end of what the broker has logged since it was created.
func (b *Broker) Log() string { return b.process.logTail() }

// LogSize returns how many bytes the broker has logged since it was created.
func (b *Broker) LogSize() int64 { return b.process.logSize() }

// LogSince returns all that the broker has logged since LogSize was size.
func (b *Broker) LogSince(size int64) string { return b.process.logSince(size) }

// Exited returns a channel that is closed when the running process has ended, nil if none runs.
func (b *Broker) Exited() <-chan struct{} { return b.process.exited() }

// Start starts the broker, for the first time or again, on the same port and data.
func (b *Broker) Start() error {
	if err := b.writeConfig(); err != nil {
		return err
	}
	registry, err := OpenRegistry(b.opts.ZooKeeper, b.opts.Observer)
	if err != nil {
		return err
	}
	defer registry.Close()
	var before int64 // of a life that ended without ZooKeeper having noticed
	if err := answered(func() (err error) {
		before, err = registry.epoch(b.opts.ID)
		return err
	}); err != nil {
		return fmt.Errorf("registration of broker %d: %w", b.opts.ID, err)
	}
	limit := brokerStart
	if b.opts.Kafka {
		limit = kafkaStart
	}
	return b.process.launch(limit, func() bool {
		epoch := registry.Epoch(b.opts.ID)
		return epoch != 0 && epoch != before && b.accepts()
	})
}

// Launch is Start without the wait: the cluster may not be in a state to take the broker.
func (b *Broker) Launch() error {
	if err := b.writeConfig(); err != nil {
		return err
	}
	return b.process.launch(brokerStart, func() bool { return true })
}

// Stop ends the broker with SIGTERM, waits, and reports an end that was not in order.
func (b *Broker) Stop() error { return b.process.end(syscall.SIGTERM, brokerStop) }

// Kill ends the broker with SIGKILL and waits until it is gone.
func (b *Broker) Kill() { b.process.end(syscall.SIGKILL, brokerStop) }

// Pause freezes the broker (SIGSTOP): its connections stay open and silent. It is frozen when Pause
// returns.
func (b *Broker) Pause() {
	b.process.signal(syscall.SIGSTOP)
	awaitFrozen(b.PID())
}

// Resume continues a paused broker.
func (b *Broker) Resume() { b.process.signal(syscall.SIGCONT) }

// Set changes a property from the next start on.
func (b *Broker) Set(name, value string) {
	b.opts.Props = maps.Clone(b.opts.Props)
	if b.opts.Props == nil {
		b.opts.Props = make(Props)
	}
	b.opts.Props[name] = value
}

// SetKafka says whether the next start of the broker, on the same port and data and with the same server.properties, is one of
// Apache Kafka's or of Gregor's.
func (b *Broker) SetKafka(kafka bool) {
	b.opts.Kafka, b.shared = kafka, true
}

// Kafka reports whether the broker is one of Apache Kafka's, or will be with its next start.
func (b *Broker) Kafka() bool { return b.opts.Kafka }

// props returns the whole configuration.
func (b *Broker) props() Props {
	p := Props{
		"broker.id":                    strconv.Itoa(int(b.opts.ID)),
		"zookeeper.connect":            b.opts.ZooKeeper,
		"zookeeper.session.timeout.ms": "6000",
		"listeners":                    "PLAINTEXT://" + b.Addr(),
		"log.dirs":                     b.DataDir(),
	}
	maps.Copy(p, b.opts.Props)
	return p
}

// writeConfig writes the configuration: TOML for Gregor, a properties file for Kafka and for who takes its place.
func (b *Broker) writeConfig() error {
	var text []byte
	if b.opts.Kafka || b.shared {
		for name, value := range b.props() {
			text = properties.Append(text, name, value)
		}
	} else {
		var err error
		if text, err = toml.Marshal(map[string]string(b.props())); err != nil {
			return fmt.Errorf("configuration of broker %d: %w", b.opts.ID, err)
		}
	}
	return os.WriteFile(b.configFile(), text, 0o644)
}

func (b *Broker) configFile() string {
	if b.opts.Kafka || b.shared {
		return filepath.Join(b.opts.Dir, "server.properties")
	}
	return filepath.Join(b.opts.Dir, "broker.toml")
}

func (b *Broker) command() (*exec.Cmd, error) {
	if b.opts.Kafka {
		options := b.opts.KafkaOptions
		options.TempDir = b.opts.Dir
		return kafka.Command(context.Background(), options, "kafka-server-start", b.configFile())
	}
	program, err := Binary("gregor")
	if err != nil {
		return nil, err
	}
	if b.files > 0 {
		return exec.Command("sh", "-c", `ulimit -n "$1" && exec "$2" "$3"`, "sh", strconv.Itoa(b.files), program, b.configFile()), nil
	}
	return exec.Command(program, b.configFile()), nil
}

// LimitFiles has the broker, from its next start on, open n files and sockets at most (ulimit -n).
func (b *Broker) LimitFiles(n int) { b.files = n }

// accepts reports whether the broker takes connections.
func (b *Broker) accepts() bool {
	conn, err := dialTo(b.opts.Node, b.Addr(), time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
