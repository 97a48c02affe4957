package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// How a ZooKeeper is looked for, and what is said if there is none.
const (
	debianZooKeeperJar = "/usr/share/java/zookeeper.jar"
	debianLoggerJar    = "/usr/share/java/slf4j-simple.jar"

	noZooKeeper = "no ZooKeeper found: install one (Debian: apt-get install zookeeper default-jre-headless), " +
		"or unpack Apache ZooKeeper 3.8 and set ZOOKEEPER_HOME to its directory"

	// zooKeeperStart is how long a server may take until it answers; a JVM on a busy machine is slow.
	zooKeeperStart = 2 * time.Minute
)

// ZooKeeper is one real ZooKeeper server in a process of its own, standing alone or in an Ensemble, with
// its data in a directory of its own. Its address stays the same over restarts.
//
// It is set up for tests: a tick of 100 ms, sessions of 200 ms to 60 s, and forceSync=no, so that
// data survives the death of the process but not of the machine.
type ZooKeeper struct {
	dir  string
	host string
	port int
	node *netns.Node // nil on loopback

	// Of a member of an ensemble: its number, and what the configuration says of all members.
	id      int
	members string

	mu struct {
		sync.Mutex
		cmd  *exec.Cmd
		exit chan struct{} // closed once cmd has been waited for
	}
}

// StartZooKeeper starts a ZooKeeper that lives until t ends. It fails t if none is installed, and
// prints the server's log if t failed.
func StartZooKeeper(t testing.TB) *ZooKeeper {
	t.Helper()
	z, err := NewZooKeeper(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		z.Kill()
		if log := z.Log(); t.Failed() && log != "" {
			t.Logf("log of ZooKeeper %s:\n%s", z.Addr(), log)
		}
	})
	return z
}

// NewZooKeeper starts a ZooKeeper with its data below dir, for a TestMain that shares one among
// tests. The caller ends it with Kill or Stop.
func NewZooKeeper(dir string) (*ZooKeeper, error) { return NewZooKeeperAt(dir, nil) }

// NewZooKeeperAt is NewZooKeeper on a node of a network; nil is loopback.
func NewZooKeeperAt(dir string, node *netns.Node) (*ZooKeeper, error) {
	host, ports, err := place(node, 2181)
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{dir: dir, host: host, port: ports[0], node: node}
	if err := z.writeConfig(); err != nil {
		return nil, err
	}
	if err := z.launch(); err != nil {
		return nil, err
	}
	return z, nil
}

// Addr returns the address of the client port, host:port.
func (z *ZooKeeper) Addr() string { return z.host + ":" + strconv.Itoa(z.port) }

// Node returns the node that the server runs on, nil on loopback.
func (z *ZooKeeper) Node() *netns.Node { return z.node }

// TransactionLogs returns the files with all that was written, in order.
func (z *ZooKeeper) TransactionLogs() ([]string, error) {
	names, err := filepath.Glob(filepath.Join(z.dir, "data", "version-2", "log.*"))
	slices.SortFunc(names, func(a, b string) int { // by the number of their first transaction, in hexadecimal
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return names, err
}

// Start starts the server again, on the same port and data, after Stop or Kill.
func (z *ZooKeeper) Start(t testing.TB) {
	t.Helper()
	if err := z.launch(); err != nil {
		t.Fatal(err)
	}
}

// Launch is Start without the wait for an answer: a member of an ensemble has none before there is a
// quorum.
func (z *ZooKeeper) Launch() error {
	_, err := z.exec()
	return err
}

// Stop ends the server with SIGTERM and waits for it. Sessions and data stay.
func (z *ZooKeeper) Stop() { z.end(syscall.SIGTERM) }

// Kill ends the server with SIGKILL and waits for it.
func (z *ZooKeeper) Kill() { z.end(syscall.SIGKILL) }

// Running reports whether there is a process that has not been ended here.
func (z *ZooKeeper) Running() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.mu.cmd != nil
}

// Pause freezes the server (SIGSTOP): its connections stay open and silent. It is frozen when Pause
// returns.
func (z *ZooKeeper) Pause() {
	z.signal(syscall.SIGSTOP)
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.mu.cmd != nil {
		awaitFrozen(z.mu.cmd.Process.Pid)
	}
}

// Resume continues a paused server.
func (z *ZooKeeper) Resume() { z.signal(syscall.SIGCONT) }

// Log returns what the server has logged (warnings and errors) since it was created.
func (z *ZooKeeper) Log() string {
	log, err := os.ReadFile(z.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (z *ZooKeeper) logFile() string { return filepath.Join(z.dir, "zookeeper.log") }

// writeConfig writes the server's configuration and that of the loggers that its jars may bring.
func (z *ZooKeeper) writeConfig() error {
	data := filepath.Join(z.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	files := map[string]string{
		"zoo.cfg": fmt.Sprintf("dataDir=%s\nclientPortAddress=%s\nclientPort=%d\ntickTime=100\n"+
			"minSessionTimeout=200\nmaxSessionTimeout=60000\nmaxClientCnxns=0\n"+
			"admin.enableServer=false\n4lw.commands.whitelist=*\n%s", data, z.host, z.port, z.members),
		"logback.xml": `<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">` +
			`<encoder><pattern>%d %-5level %msg%n</pattern></encoder></appender>` +
			`<root level="WARN"><appender-ref ref="OUT"/></root></configuration>`,
		"log4j.properties": "log4j.rootLogger=WARN, OUT\nlog4j.appender.OUT=org.apache.log4j.ConsoleAppender\n" +
			"log4j.appender.OUT.layout=org.apache.log4j.PatternLayout\n",
	}
	if z.members != "" {
		files["data/myid"] = strconv.Itoa(z.id)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(z.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the process and waits until it answers.
func (z *ZooKeeper) launch() error {
	exit, err := z.exec()
	if err != nil {
		return err
	}
	if err := z.awaitAnswer(exit); err != nil {
		z.Kill()
		return err
	}
	return nil
}

// exec starts the process and returns a channel that is closed when it has ended.
func (z *ZooKeeper) exec() (<-chan struct{}, error) {
	classPath, err := zooKeeperClassPath()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(z.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	main := "org.apache.zookeeper.server.ZooKeeperServerMain"
	if z.members != "" {
		main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
	}
	cmd := exec.Command("java",
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Xshare:auto", "-XX:-UsePerfData",
		"-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=1024", "-Dzookeeper.jmx.log4j.disable=true",
		"-Dzookeeper.cnxTimeout=1000", "-Dzookeeper.electionPortBindRetry=0",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-cp", z.dir+":"+classPath, main, filepath.Join(z.dir, "zoo.cfg"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = lifeline()

	z.mu.Lock()
	defer z.mu.Unlock()
	if z.mu.cmd != nil {
		return nil, errors.New("ZooKeeper runs already")
	}
	if err := startAt(z.node, cmd); err != nil {
		return nil, fmt.Errorf("start ZooKeeper: %w", err)
	}
	exit := make(chan struct{})
	go func() {
		cmd.Wait() // joined by end, through exit
		close(exit)
	}()
	z.mu.cmd, z.mu.exit = cmd, exit
	return exit, nil
}

// AwaitAnswer waits until a server that runs serves clients.
func (z *ZooKeeper) AwaitAnswer() error {
	z.mu.Lock()
	exit := z.mu.exit
	z.mu.Unlock()
	return z.awaitAnswer(exit)
}

// awaitAnswer polls the server until it answers as one that serves clients.
func (z *ZooKeeper) awaitAnswer(exit <-chan struct{}) error {
	for deadline := time.Now().Add(zooKeeperStart); ; {
		if z.answers() {
			return nil
		}
		select {
		case <-exit:
			return fmt.Errorf("ZooKeeper ended as it started:\n%s", z.Log())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ZooKeeper did not answer within %v:\n%s", zooKeeperStart, z.Log())
		}
	}
}

// answers reports whether the server answers "srvr" with its mode; while it still loads its data, it
// says instead that it does not serve requests.
func (z *ZooKeeper) answers() bool {
	conn, err := dialTo(z.node, z.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return false
	}
	var answer strings.Builder
	for buf := make([]byte, 1024); ; {
		n, err := conn.Read(buf)
		answer.Write(buf[:n])
		if err != nil {
			return strings.Contains(answer.String(), "Mode:")
		}
	}
}

// end sends sig and waits until the process is gone. Ending what has ended does nothing.
func (z *ZooKeeper) end(sig syscall.Signal) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.mu.cmd == nil {
		return
	}
	z.mu.cmd.Process.Signal(syscall.SIGCONT) // a paused process would not see SIGTERM
	z.mu.cmd.Process.Signal(sig)
	select {
	case <-z.mu.exit:
	case <-time.After(10 * time.Second):
		z.mu.cmd.Process.Kill()
		<-z.mu.exit
	}
	z.mu.cmd = nil
}

func (z *ZooKeeper) signal(sig syscall.Signal) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.mu.cmd != nil {
		z.mu.cmd.Process.Signal(sig)
	}
}

// zooKeeperClassPath returns the jars of ZOOKEEPER_HOME if that is set, else those of Debian.
func zooKeeperClassPath() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("no java found: %s", noZooKeeper)
	}
	if home := os.Getenv("ZOOKEEPER_HOME"); home != "" {
		if jars, _ := filepath.Glob(filepath.Join(home, "lib", "zookeeper-*.jar")); len(jars) == 0 {
			return "", fmt.Errorf("no lib/zookeeper-*.jar in ZOOKEEPER_HOME=%s: %s", home, noZooKeeper)
		}
		return filepath.Join(home, "lib", "*"), nil
	}
	if _, err := os.Stat(debianZooKeeperJar); err != nil {
		return "", errors.New(noZooKeeper)
	}
	// The jar's manifest names the jars it needs, except for one that writes the log.
	return debianZooKeeperJar + ":" + debianLoggerJar, nil
}
