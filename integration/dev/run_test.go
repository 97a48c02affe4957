package dev

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// cleanShutdown is the marker that a broker leaves in its log directory when it stops in order.
const cleanShutdown = ".gregor/data/.kafka_cleanshutdown"

func freePort(t *testing.T) int {
	t.Helper()
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// firstMessage does what make run says: the command to produce, then the one to consume, until it has printed hello.
func (c *checkout) firstMessage(run *command) {
	c.t.Helper()
	produce, consume := run.expect("  produce: "), run.expect("  consume: ")
	if status, stderr := c.start(nil, "sh", "-c", produce).end(); status != 0 {
		c.t.Fatalf("%s: exit status %d\n%s", produce, status, stderr)
	}
	consumer := c.start(nil, "sh", "-c", consume)
	consumer.expect("hello")
	consumer.signal(syscall.SIGINT)
	consumer.end()
}

// stopped expects that run ends by sig, and leaves nothing behind but a broker that was stopped in order. It returns
// what run says meanwhile.
func (c *checkout) stopped(run *command, sig syscall.Signal) string {
	c.t.Helper()
	run.signal(sig)
	_, stderr := run.end()
	if left := c.processes(); len(left) > 0 {
		c.t.Errorf("after %v there is still %v", sig, left)
	}
	if err := os.Remove(filepath.Join(c.dir, cleanShutdown)); err != nil {
		c.t.Errorf("after %v: %v; the broker's log:\n%s", sig, err, c.file(".gregor/broker.log"))
	}
	return stderr
}

func TestMakeRun(t *testing.T) {
	c := newCheckout(t)
	t.Run("without ZooKeeper and apt-get", func(t *testing.T) { testRunWithoutAnything(c.in(t)) })
	t.Run("on a port that is taken", func(t *testing.T) { testRunOnTakenPort(c.in(t)) })
	t.Run("with another ZooKeeper", func(t *testing.T) { testRunWithAnotherZooKeeper(c.in(t)) })
	t.Run("by itself", func(t *testing.T) { testRun(c.in(t)) })
}

// testRun is README's "Two commands" and "The first message": what make run prints works as it stands; Ctrl-C stops
// both servers in order, and so does SIGTERM; the second time the data are there.
func testRun(c *checkout) {
	ports := []string{environment("PORT", freePort(c.t)), environment("ZOOKEEPER_PORT", freePort(c.t)), "ZOOKEEPER="}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		run := c.start(ports, "make", "run")
		c.firstMessage(run)
		if servers := c.processes(); len(servers) != 2 {
			c.t.Errorf("not two servers run: %v", servers)
		}
		stderr := c.stopped(run, sig)
		if !strings.Contains(stderr, "stopping the broker\nstopping ZooKeeper\n") {
			c.t.Errorf("after %v make run says:\n%s", sig, stderr)
		}
	}
}

// testRunWithAnotherZooKeeper: with ZOOKEEPER none is started, and none stopped.
func testRunWithAnotherZooKeeper(c *checkout) {
	z := cluster.StartZooKeeper(c.t)
	run := c.start([]string{environment("PORT", freePort(c.t)), "ZOOKEEPER=" + z.Addr() + "/run"}, "make", "run")
	c.firstMessage(run)
	if servers := c.processes(); len(servers) != 1 {
		c.t.Errorf("not only a broker runs: %v", servers)
	}
	stderr := c.stopped(run, syscall.SIGINT)
	if strings.Contains(stderr, "stopping ZooKeeper") || !z.Running() {
		c.t.Errorf("ZooKeeper has been stopped: %s", stderr)
	}
	for range 20 { // make passes on SIGTERM to a group that has had it
		run := c.start([]string{environment("PORT", freePort(c.t)), "ZOOKEEPER=" + z.Addr() + "/run"}, "integration/dev/run")
		run.expect("  consume: ")
		run.signal(syscall.SIGTERM)
		c.stopped(run, syscall.SIGTERM)
	}
	if err := os.RemoveAll(filepath.Join(c.dir, ".gregor")); err != nil { // the data belong to that ZooKeeper's cluster
		c.t.Fatal(err)
	}
}

// testRunWithoutAnything: where ZooKeeper is missing and there is no apt-get, make run says what to install, and that
// a ZooKeeper elsewhere does.
func testRunWithoutAnything(c *checkout) {
	bin := c.t.TempDir()
	for _, name := range []string{"go", "make", "bash", "env", "mkdir", "dirname", "cat", "sort", "seq", "sleep", "tail", "setsid"} {
		path, err := exec.LookPath(name)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, name))
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	alone := []string{"PATH=" + bin, "ZOOKEEPER_HOME=", "ZOOKEEPER=", environment("PORT", freePort(c.t)), environment("ZOOKEEPER_PORT", freePort(c.t))}
	status, stderr := c.start(alone, "make", "run").end()
	for _, want := range []string{"there is no apt-get to install them with. Please install:\n", "  a Java runtime, version 11 or later\n",
		"For 'make run', ZOOKEEPER=host:port make run uses a ZooKeeper that runs already.\n"} {
		if !strings.Contains(stderr, want) {
			c.t.Errorf("make run does not say %q:\n%s", want, stderr)
		}
	}
	if left := c.processes(); status == 0 || len(left) > 0 {
		c.t.Errorf("exit status %d, and %v is left", status, left)
	}
}

func testRunOnTakenPort(c *checkout) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	status, stderr := c.start([]string{"PORT=" + port}, "make", "run").end()
	if status == 0 || !strings.Contains(stderr, "Port "+port+", meant for the broker, is taken. PORT=") {
		c.t.Errorf("exit status %d\n%s", status, stderr)
	}
}
