package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// stored is a broker with topics of all kinds, whose files are looked at.
type stored struct {
	*single
	b     *cluster.Broker
	acked cluster.Acked // of rolled
	ids   map[string][16]byte
}

// The topics of stored: rolled has several segments, cut has lost its first records, empty has none.
const (
	rolled = "rolled"
	cut    = "cut"
	empty0 = "empty"
)

func newStored(t *testing.T) *stored {
	t.Helper()
	s := &stored{single: newSingle(t, cluster.Props{"log.index.interval.bytes": "512"}), acked: cluster.Acked{}, ids: map[string][16]byte{}}
	s.b = s.c.Broker(1)
	w := &world{t: t, c: s.c, ids: s.ids}
	w.create(rolled, map[string]string{"segment.bytes": "20000"}, []int32{1}, []int32{1})
	w.create(cut, nil, []int32{1})
	w.create(empty0, nil, []int32{1})
	w.produce(cut, newBatch(), newBatch(), newBatch())
	resp := ask[*kmsg.DeleteRecordsResponse](t, s.addr, withVersion(deleteRecords(part(cut, 0), 2), 2))
	if list := errorsIn(resp); len(list) > 0 {
		t.Fatal(list)
	}
	return s
}

// produce sends n records to rolled, each in a batch of its own, by an idempotent producer.
func (s *stored) produce(n int) {
	s.t.Helper()
	client := s.c.Client(kgo.DefaultProduceTopic(rolled), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(1), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range n {
		value := fmt.Sprintf("record %d at %d %s", i, time.Now().UnixNano(), strings.Repeat("x", 200))
		r, err := client.ProduceSync(ctx, kgo.StringRecord(value)).First()
		if err != nil {
			s.t.Fatalf("record %d of %d: %v", i, n, err)
		}
		s.acked[cluster.Place{Partition: r.Partition, Offset: r.Offset}] = value
	}
}

// TestFiles looks at what a clean stop leaves, before and after a SIGKILL: names, checkpoints, and
// segments, indexes and snapshots through Kafka's own eyes.
func TestFiles(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.produce(300)
	s.c.Stop(1)
	s.check(t)
	s.c.Restart(1)
	s.c.AwaitTopic(rolled)
	s.produce(100)
	s.c.Kill(1)
	if _, err := os.Stat(filepath.Join(s.b.DataDir(), ".kafka_cleanshutdown")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a killed broker leaves the marker of a clean shutdown: %v", err)
	}
	s.c.Restart(1)
	s.c.AwaitTopic(rolled)
	s.produce(10)
	s.c.RequireReadable(rolled, s.acked, patience)
	s.c.Stop(1)
	s.check(t)
}

// TestKafkaTakesOver starts Apache Kafka on the files and znodes of a broker that was stopped, and the
// broker again on Kafka's.
func TestKafkaTakesOver(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.produce(300)
	s.c.Stop(1)
	kafka, err := cluster.NewBroker(cluster.BrokerOptions{ID: 1, Dir: filepath.Dir(s.b.DataDir()), ZooKeeper: s.c.ZooKeeper(), Kafka: true,
		Props: with(longSession, cluster.Props{"log.index.interval.bytes": "512", "group.initial.rebalance.delay.ms": "0"})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Kill)
	got := s.readAll(t, kafka.Addr(), len(s.acked))
	s.compare(t, "Kafka", got)
	taken := &single{t: t, c: s.c, addr: kafka.Addr()}
	taken.serves()
	if err := kafka.Stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(kafka.LogSince(0), " ERROR ") {
		t.Errorf("Kafka was not content:\n%s", kafka.Log())
	}
	s.c.Restart(1)
	s.c.AwaitTopic(rolled)
	s.compare(t, "the broker after Kafka", s.readAll(t, s.addr, len(s.acked)))
	s.serves()
	s.produce(10)
	s.c.Stop(1)
	s.check(t)
}

// readAll reads n records of rolled.
func (s *stored) readAll(t *testing.T, addr string, n int) cluster.Acked {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(rolled), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got := cluster.Acked{}
	for len(got) < n {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("read %d of %d records: %v", len(got), n, fetches.Err())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[cluster.Place{Partition: r.Partition, Offset: r.Offset}] = string(r.Value)
		})
	}
	return got
}

func (s *stored) compare(t *testing.T, who string, got cluster.Acked) {
	t.Helper()
	if !maps.Equal(got, s.acked) {
		t.Errorf("%s returns other records than were acknowledged", who)
	}
}

// check looks at the files of a stopped broker.
func (s *stored) check(t *testing.T) {
	t.Helper()
	dir := s.b.DataDir()
	s.checkTop(t, dir)
	ends := map[string]int64{rolled + "-0": 0, rolled + "-1": 0, cut + "-0": 3, empty0 + "-0": 0}
	for place := range s.acked {
		name := fmt.Sprintf("%s-%d", rolled, place.Partition)
		ends[name] = max(ends[name], place.Offset+1)
	}
	for name, end := range ends {
		s.checkReplica(t, filepath.Join(dir, name), end)
	}
	s.checkCheckpoint(t, "recovery-point-offset-checkpoint", ends)
	s.checkCheckpoint(t, "replication-offset-checkpoint", ends)
	starting := readCheckpoint(t, filepath.Join(dir, "log-start-offset-checkpoint"))
	if len(starting) != 1 || starting[cut+"-0"] != 2 {
		t.Errorf("log-start-offset-checkpoint has %v, want only %s-0: 2", starting, cut)
	}
	s.dump(t, dir, ends)
}

// checkTop looks at the files of a log directory itself.
func (s *stored) checkTop(t *testing.T, dir string) {
	t.Helper()
	want := []string{".kafka_cleanshutdown", ".lock", "log-start-offset-checkpoint",
		"meta.properties", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"}
	var got []string
	for _, e := range readDir(t, dir) {
		// Kafka makes the cleaner's checkpoint at its first start, here it comes with the first cleaning.
		if !e.IsDir() && e.Name() != "cleaner-offset-checkpoint" {
			got = append(got, e.Name())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("files of the log directory: %v, want %v", got, want)
	}
	if text := readFile(t, filepath.Join(dir, ".kafka_cleanshutdown")); text != `{"version":0,"brokerEpoch":-1}` {
		t.Errorf(".kafka_cleanshutdown: %s", text)
	}
	if text := readFile(t, filepath.Join(dir, ".lock")); text != "" {
		t.Errorf(".lock: %q", text)
	}
	properties := map[string]string{}
	for line := range strings.Lines(readFile(t, filepath.Join(dir, "meta.properties"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			properties[name] = value
		}
	}
	if id := properties["cluster.id"]; len(properties) != 3 || properties["version"] != "0" || properties["broker.id"] != "1" || len(id) != 22 {
		t.Errorf("meta.properties: %v", properties)
	}
}

// replicaFile are the names of files in a replica's directory.
var replicaFile = regexp.MustCompile(`^(\d{20}\.(log|index|timeindex|snapshot)|leader-epoch-checkpoint|partition\.metadata)$`)

// checkReplica looks at the files of one replica.
func (s *stored) checkReplica(t *testing.T, dir string, end int64) {
	t.Helper()
	name := filepath.Base(dir)
	byKind := map[string][]int64{}
	for _, e := range readDir(t, dir) {
		if !replicaFile.MatchString(e.Name()) {
			t.Errorf("%s: what is %s?", name, e.Name())
			continue
		}
		if base, kind, ok := strings.Cut(e.Name(), "."); ok && kind != "metadata" {
			n, _ := strconv.ParseInt(base, 10, 64)
			byKind[kind] = append(byKind[kind], n)
		}
	}
	bases := byKind["log"]
	if strings.HasPrefix(name, rolled) && len(bases) < 3 {
		t.Errorf("%s has segments %v, want more", name, bases)
	}
	if !slices.Equal(byKind["index"], bases) || !slices.Equal(byKind["timeindex"], bases) {
		t.Errorf("%s: segments %v, indexes %v, time indexes %v", name, bases, byKind["index"], byKind["timeindex"])
	}
	if end > 0 && !slices.Contains(byKind["snapshot"], end) {
		t.Errorf("%s ends at %d, producer snapshots are at %v", name, end, byKind["snapshot"])
	}
	if n := len(byKind["snapshot"]); n > 0 && byKind["snapshot"][n-1] > end {
		t.Errorf("%s ends at %d, producer snapshots are at %v", name, end, byKind["snapshot"])
	}
	topic := name[:strings.LastIndexByte(name, '-')]
	id := s.ids[topic]
	want := "version: 0\ntopic_id: " + base64.RawURLEncoding.EncodeToString(id[:])
	if got := readFile(t, filepath.Join(dir, "partition.metadata")); got != want {
		t.Errorf("%s: partition.metadata: %q, want %q", name, got, want)
	}
	s.checkEpochs(t, dir, end)
}

// checkEpochs looks at a leader-epoch-checkpoint: its epochs and offsets ascend, and the first begins
// with the log.
func (s *stored) checkEpochs(t *testing.T, dir string, end int64) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(readFile(t, filepath.Join(dir, "leader-epoch-checkpoint")), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" || lines[1] != strconv.Itoa(len(lines)-2) {
		t.Errorf("%s: leader-epoch-checkpoint: %q", filepath.Base(dir), lines)
		return
	}
	epoch, start := int64(-1), int64(-1)
	for i, line := range lines[2:] {
		var e, o int64
		if _, err := fmt.Sscanf(line, "%d %d", &e, &o); err != nil || e <= epoch || o <= start || o > end {
			t.Errorf("%s: leader-epoch-checkpoint: %q", filepath.Base(dir), lines)
		}
		if i == 0 && end > 0 && o != 0 && !strings.HasPrefix(filepath.Base(dir), cut) {
			t.Errorf("%s: the first epoch begins at %d", filepath.Base(dir), o)
		}
		epoch, start = e, o
	}
}

func (s *stored) checkCheckpoint(t *testing.T, file string, ends map[string]int64) {
	t.Helper()
	got := readCheckpoint(t, filepath.Join(s.b.DataDir(), file))
	for name, end := range ends {
		if offset, ok := got[name]; !ok || offset != end {
			t.Errorf("%s: %s is at %d, want %d", file, name, offset, end)
		}
	}
}

// readCheckpoint reads a checkpoint of offsets by replica.
func readCheckpoint(t *testing.T, file string) map[string]int64 {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(readFile(t, file), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" || lines[1] != strconv.Itoa(len(lines)-2) {
		t.Fatalf("%s: %q", file, lines)
	}
	offsets := map[string]int64{}
	for _, line := range lines[2:] {
		f := strings.Split(line, " ")
		if len(f) != 3 {
			t.Fatalf("%s: line %q", file, line)
		}
		offset, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			t.Fatalf("%s: line %q", file, line)
		}
		offsets[f[0]+"-"+f[1]] = offset
	}
	return offsets
}

// dump has kafka-dump-log read every file that it knows.
func (s *stored) dump(t *testing.T, dir string, ends map[string]int64) {
	t.Helper()
	var files []string
	for name := range ends {
		for _, kind := range []string{"log", "index", "timeindex", "snapshot"} {
			found, err := filepath.Glob(filepath.Join(dir, name, "*."+kind))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
	}
	r := cluster.Tool(t, nil, "kafka-dump-log", "--deep-iteration", "--files", strings.Join(files, ","))
	if r.Exit != 0 || len(bytes.TrimSpace(r.Stderr)) > 0 {
		t.Errorf("kafka-dump-log: exit status %d\n%s", r.Exit, r.Stderr)
	}
	for _, bad := range []string{"Mismatch", "mismatch", "isvalid: false", "xception", "not found", "invalid"} {
		if i := bytes.Index(r.Stdout, []byte(bad)); i >= 0 {
			t.Errorf("kafka-dump-log says %q:\n%s", bad, r.Stdout[max(0, i-2000):min(len(r.Stdout), i+1000)])
		}
	}
	if n := bytes.Count(r.Stdout, []byte("| offset: ")); n < len(s.acked) {
		t.Errorf("kafka-dump-log shows %d records, want %d", n, len(s.acked))
	}
	if n := bytes.Count(r.Stdout, []byte("Dumping ")); n != len(files) {
		t.Errorf("kafka-dump-log has read %d of %d files", n, len(files))
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func readDir(t *testing.T, name string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(name)
	if err != nil {
		t.Error(err)
	}
	return entries
}
