package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// dirPartitions is how many partitions startWithDirs makes. About half of them are in each directory.
const dirPartitions = 6

// startWithDirs starts three brokers of which the last has two log directories, good and bad, and a topic with a replica of each
// partition on each broker, and produces records.
func startWithDirs(t *testing.T, bad string, records int) (c *cluster.Cluster, good string, acked cluster.Acked) {
	t.Helper()
	good = filepath.Join(t.TempDir(), "good")
	c = cluster.Start(t, 2, cluster.Props{"replica.high.watermark.checkpoint.interval.ms": "200", "log.segment.bytes": "1000000"})
	c.Add(cluster.Props{"log.dirs": good + "," + bad})
	c.CreateTopic("orders", dirPartitions, 3, replicated)
	awaitISR(c, "orders", dirPartitions, 3)
	return c, good, c.Produce("orders", records, everywhere)
}

// startWithDisk is startWithDirs with a bad directory on a disk of its own.
func startWithDisk(t *testing.T, records int) (c *cluster.Cluster, disk *cluster.Disk, bad string, acked cluster.Acked) {
	t.Helper()
	disk = newDisk(t)
	bad = filepath.Join(disk.Path(), "logs")
	c, _, acked = startWithDirs(t, bad, records)
	return c, disk, bad, acked
}

// inDir returns the partitions of a topic with a replica in a directory.
func inDir(t *testing.T, dir, topic string) (found []int32) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, topic+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var p int32
		if _, err := fmt.Sscanf(filepath.Base(name), topic+"-%d", &p); err == nil && !strings.Contains(filepath.Base(name), ".") {
			found = append(found, p)
		}
	}
	return found
}

// requireFailed waits until broker 3 counts as out of sync for exactly the partitions that it has in the failed
// directory, and leads none of them.
func requireFailed(t *testing.T, c *cluster.Cluster, partitions int32, lost []int32) {
	t.Helper()
	if len(lost) == 0 || len(lost) == int(partitions) {
		t.Fatalf("the failed directory holds the partitions %v", lost)
	}
	for _, p := range lost {
		c.Await(fmt.Sprintf("orders-%d without broker 3", p), func() bool {
			return c.Leader("orders", p) != 3 && !slices.Contains(c.ISR("orders", p), 3)
		})
	}
	for p := range partitions {
		if !slices.Contains(lost, p) && !slices.Contains(c.ISR("orders", p), 3) {
			t.Errorf("broker 3 is out of sync for orders-%d, whose directory has not failed", p)
		}
	}
	if failed := dirsOf(t, c, "orders")["failed"]; len(failed) != 1 {
		t.Errorf("kafka-log-dirs shows as failed: %v", failed)
	}
}

// more produces to all partitions and adds what was acknowledged.
func more(c *cluster.Cluster, acked cluster.Acked, n int) {
	for at, value := range c.Produce("orders", n, everywhere) {
		acked[at] = value
	}
}

// newDisk returns a disk of 64 MiB that ends with the test, which is skipped where there can be none.
func newDisk(t *testing.T) *cluster.Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a disk of one's own takes root")
	}
	disk, err := cluster.NewDisk(64 << 20)
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("root, but no disk of one's own: %v", err) // as in a container
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	return disk
}

// TestDirectoryFillsUp: no space is left in one of a broker's directories. The broker goes on with the other, the
// cluster with the other replicas, and once there is space again, a restart brings all back.
func TestDirectoryFillsUp(t *testing.T) {
	c, disk, bad, acked := startWithDisk(t, 3000)
	lost := inDir(t, bad, "orders")
	if err := disk.Fill(); err != nil {
		t.Fatal(err)
	}
	client := manual(c)
	c.Await("the full disk to be met", func() bool {
		var records []*kgo.Record
		for p := range int32(dirPartitions) {
			records = append(records, &kgo.Record{Topic: "orders", Partition: p, Value: make([]byte, 100_000)})
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		return len(dirsOf(t, c, "orders")["failed"]) > 0
	})
	requireFailed(t, c, dirPartitions, lost)
	more(c, acked, 2000)
	c.RequireReadable("orders", acked, patience)
	if err := disk.Free(); err != nil {
		t.Fatal(err)
	}
	c.Restart(3)
	awaitISR(c, "orders", dirPartitions, 3)
	more(c, acked, 2000)
	c.RequireReadable("orders", acked, patience)
	for _, id := range []int32{1, 2} { // and broker 3 has it all
		c.Kill(id)
	}
	c.Restart(1)
	c.Restart(2)
	c.RequireReadable("orders", acked, patience)
}

// TestIdleDirectoryFillsUp: a directory that nobody writes to is offline, as Kafka's is, once its disk is full: the next
// checkpoint has no room.
func TestIdleDirectoryFillsUp(t *testing.T) {
	c, disk, bad, acked := startWithDisk(t, 300)
	c.Await("checkpoints of all that was produced", func() bool {
		for _, p := range inDir(t, bad, "orders") {
			if checkpointed(t, bad, "replication-offset-checkpoint", fmt.Sprintf("orders %d", p)) != 50 {
				return false
			}
		}
		return true
	})
	if err := disk.Fill(); err != nil {
		t.Fatal(err)
	}
	requireFailed(t, c, dirPartitions, inDir(t, bad, "orders"))
	c.RequireReadable("orders", acked, patience)
}

// TestDirectoryVanishes: a broker finds out that a directory is gone although nobody writes to it, moves what it
// leads to others, and takes the directory back when it is started again.
func TestDirectoryVanishes(t *testing.T) {
	base := t.TempDir()
	bad, gone := filepath.Join(base, "bad"), filepath.Join(base, "gone")
	c, good, acked := startWithDirs(t, bad, 3000)
	lost := inDir(t, bad, "orders")
	if err := os.Rename(bad, gone); err != nil {
		t.Fatal(err)
	}
	requireFailed(t, c, dirPartitions, lost)
	more(c, acked, 2000)
	c.RequireReadable("orders", acked, patience)
	c.Stop(3)
	if err := os.Rename(gone, bad); err != nil {
		t.Fatal(err)
	}
	c.Restart(3)
	awaitISR(c, "orders", dirPartitions, 3)
	c.RequireReadable("orders", acked, patience)
	requireEqualDirs(t, c, good, bad)
}

// requireEqualDirs compares broker 3's replicas, in two directories, with broker 1's.
func requireEqualDirs(t *testing.T, c *cluster.Cluster, dirs ...string) {
	t.Helper()
	for p := range dirPartitions {
		name := fmt.Sprintf("orders-%d", p)
		c.Await("equal replicas of "+name, func() bool {
			var own []byte
			for _, d := range dirs {
				own = append(own, segments(t, filepath.Join(d, name))...)
			}
			return string(own) == string(segments(t, filepath.Join(c.Broker(1).DataDir(), name)))
		})
	}
}

// TestDirectoryVanishesBeforeStop: a broker that is told to stop, and only then finds out that one of its directories is
// gone, stops in order, with exit status 0, and marks the other one as clean.
func TestDirectoryVanishesBeforeStop(t *testing.T) {
	base := t.TempDir()
	good, bad, gone := filepath.Join(base, "good"), filepath.Join(base, "bad"), filepath.Join(base, "gone")
	c := cluster.Start(t, 1, cluster.Props{"log.dirs": good + "," + bad})
	c.CreateTopic("orders", dirPartitions, 1, nil)
	acked := c.Produce("orders", 1000, everywhere)
	if err := os.Rename(bad, gone); err != nil {
		t.Fatal(err)
	}
	c.Stop(1)
	if log := c.Broker(1).LogSince(0); !strings.Contains(log, "Log directory failed") {
		t.Errorf("it does not say that a directory has failed:\n%s", log)
	}
	for dir, want := range map[string]bool{good: true, gone: false} {
		if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); (err == nil) != want {
			t.Errorf("%s is marked as clean: %t", dir, !want)
		}
	}
	if err := os.Rename(gone, bad); err != nil {
		t.Fatal(err)
	}
	c.Restart(1)
	c.RequireReadable("orders", acked, patience)
}

// TestLastDirectoryFails: a broker without a log directory ends, with an error.
func TestLastDirectoryFails(t *testing.T) {
	c := cluster.Start(t, 2, cluster.Props{"replica.high.watermark.checkpoint.interval.ms": "200"})
	c.CreateTopic("orders", 4, 2, nil)
	acked := c.Produce("orders", 1000, everywhere)
	awaitISR(c, "orders", 4, 2)
	dir := c.Broker(2).DataDir()
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Broker(2).Exited():
	case <-time.After(patience):
		t.Fatal("the broker goes on without a log directory")
	}
	if log := c.Broker(2).LogSince(0); !strings.Contains(log, "all log directories have failed") {
		t.Errorf("it does not say why it ends:\n%s", log)
	}
	c.RequireReadable("orders", acked, patience)
	if err := c.Broker(2).Stop(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("it has ended with %v, want exit status 1", err)
	}
	if err := os.Rename(dir+".gone", dir); err != nil {
		t.Fatal(err)
	}
	if err := c.Broker(2).Start(); err != nil {
		t.Fatal(err)
	}
	awaitISR(c, "orders", 4, 2)
}
