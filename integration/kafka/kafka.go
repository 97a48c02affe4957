// Package kafka runs Apache Kafka's own programs: its broker, to compare with, and its command-line
// tools, to be used on Gregor as its users would.
//
// The jars come from Maven Central, as pom.xml names them, once for a user of the machine. KAFKA_HOME
// names an unpacked Kafka to be used instead.
package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Version is the Kafka that pom.xml names.
const Version = "3.9.2"

//go:embed pom.xml
var pom []byte

// classes are the Java classes behind the scripts in Kafka's bin folder, and others.
var classes = map[string]string{
	"kafka-server-start":        "kafka.Kafka",
	"kafka-acls":                "kafka.admin.AclCommand",
	"kafka-broker-api-versions": "kafka.admin.BrokerApiVersionsCommand",
	"kafka-cluster":             "org.apache.kafka.tools.ClusterTool",
	"kafka-configs":             "kafka.admin.ConfigCommand",
	"kafka-console-consumer":    "org.apache.kafka.tools.consumer.ConsoleConsumer",
	"kafka-console-producer":    "kafka.tools.ConsoleProducer",
	"kafka-consumer-groups":     "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
	"kafka-consumer-perf-test":  "org.apache.kafka.tools.ConsumerPerformance",
	"kafka-delegation-tokens":   "org.apache.kafka.tools.DelegationTokenCommand",
	"kafka-delete-records":      "org.apache.kafka.tools.DeleteRecordsCommand",
	"kafka-dump-log":            "kafka.tools.DumpLogSegments",
	"kafka-e2e-latency":         "org.apache.kafka.tools.EndToEndLatency",
	"kafka-features":            "org.apache.kafka.tools.FeatureCommand",
	"kafka-get-offsets":         "org.apache.kafka.tools.GetOffsetShell",
	"kafka-leader-election":     "org.apache.kafka.tools.LeaderElectionCommand",
	"kafka-log-dirs":            "org.apache.kafka.tools.LogDirsCommand",
	"kafka-producer-perf-test":  "org.apache.kafka.tools.ProducerPerformance",
	"kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
	"kafka-topics":              "org.apache.kafka.tools.TopicCommand",
	"kafka-transactions":        "org.apache.kafka.tools.TransactionsCommand",
	"kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
	"kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
	// What no script starts, but the system tests of Kafka do.
	"transactional-message-copier": "org.apache.kafka.tools.TransactionalMessageCopier",
}

// log4j sends the log of a program to its standard error, so that a tool's output stays clean.
const log4j = `log4j.rootLogger=${gregor.log.level}, err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.target=System.err
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=[%d] %p %m (%c)%n
`

// Options say how a program runs.
type Options struct {
	Heap     string   // as java takes it: 512m for tools and 1g for the broker if empty
	LogLevel string   // WARN for tools and INFO for the broker if empty
	TempDir  string   // for temporary files, which a JVM that is killed leaves behind; the system's if empty
	Java     []string // further options of the JVM
}

// Command returns the program that the script called name starts, such as kafka-topics, ready to be
// started. The first call on a machine fetches the jars, which takes a minute.
func Command(ctx context.Context, o Options, name string, args ...string) (*exec.Cmd, error) {
	class, ok := classes[strings.TrimSuffix(name, ".sh")]
	if !ok {
		return nil, fmt.Errorf("kafka has no program %s", name)
	}
	home, err := Install()
	if err != nil {
		return nil, err
	}
	server := class == "kafka.Kafka"
	if o.Heap == "" {
		o.Heap = map[bool]string{false: "512m", true: "1g"}[server]
	}
	if o.LogLevel == "" {
		o.LogLevel = map[bool]string{false: "WARN", true: "INFO"}[server]
	}
	java := []string{"-Xmx" + o.Heap, "-Djava.awt.headless=true", "-Dgregor.log.level=" + o.LogLevel,
		"-Dlog4j.configuration=file:" + filepath.Join(home, "log4j.properties")}
	if server { // what Kafka's own kafka-run-class sets
		java = append(java, "-server", "-Xms"+o.Heap, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
			"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent")
	} else { // a tool lives for a second: do not spend it on compiling
		java = append(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
	}
	if o.TempDir != "" {
		java = append(java, "-Djava.io.tmpdir="+o.TempDir)
	}
	java = append(java, o.Java...)
	java = append(java, "-cp", filepath.Join(libs(home), "*"), class)
	cmd := exec.CommandContext(ctx, "java", append(java, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // in whose encoding it prints
	return cmd, nil
}

var install struct {
	sync.Mutex
	home string
}

// Install makes sure that the jars are there and returns the directory that they and the logging
// configuration are below. Several processes may call it at the same time.
func Install() (string, error) {
	install.Lock()
	defer install.Unlock()
	if install.home != "" {
		return install.home, nil
	}
	if _, err := exec.LookPath("java"); err != nil {
		return "", errors.New("java is missing: install a Java runtime, version 11 or later (Debian: apt-get install default-jre-headless)")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for Kafka's jars: %w", err)
	}
	home := filepath.Join(cache, "gregor", "kafka-"+Version)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(home, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", home, err)
	}
	if err := os.WriteFile(filepath.Join(home, "log4j.properties"), []byte(log4j), 0o644); err != nil {
		return "", err
	}
	if os.Getenv("KAFKA_HOME") == "" {
		if err := fetch(home); err != nil {
			return "", err
		}
	}
	install.home = home
	return home, nil
}

// libs returns the directory of the jars.
func libs(home string) string {
	if unpacked := os.Getenv("KAFKA_HOME"); unpacked != "" {
		return filepath.Join(unpacked, "libs")
	}
	return filepath.Join(home, "libs")
}

// fetch gathers the jars below home unless they are those of the same pom.xml.
func fetch(home string) error {
	done := filepath.Join(home, "libs", "pom.xml")
	if have, err := os.ReadFile(done); err == nil && string(have) == string(pom) {
		return nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return errors.New("maven is missing: install it (Debian: apt-get install maven), or set KAFKA_HOME to an unpacked Kafka " + Version)
	}
	if err := os.RemoveAll(filepath.Join(home, "libs")); err != nil {
		return err
	}
	file := filepath.Join(home, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	mvn := exec.Command("mvn", "-q", "-B", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(home, "libs"))
	if output, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Kafka's jars with %s: %w\n%s", mvn, err, output)
	}
	return os.WriteFile(done, pom, 0o644)
}
