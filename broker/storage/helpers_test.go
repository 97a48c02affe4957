package storage

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var orders = topic.Partition{Topic: "orders", Index: 0}

// testNow is the time of tests, ms since the epoch.
const testNow = int64(1_700_000_000_000)

func quiet() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

// testOptions are options for one directory on fsys, with the clock at testNow and no periodic task
// that would come due within a test.
func testOptions(fsys vfs.FS, dirs ...string) Options {
	if len(dirs) == 0 {
		dirs = []string{"data"}
	}
	return Options{
		Dirs: dirs, FS: fsys, Logger: quiet(),
		Now:                             func() time.Time { return time.UnixMilli(testNow) },
		HighWatermarkCheckpointInterval: time.Hour,
		InitialTaskDelay:                time.Hour,
		DescriptorPatience:              -1, // of what is injected nothing passes
	}
}

func mustOpen(t testing.TB, o Options) *Manager {
	t.Helper()
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// openIdle is mustOpen without the goroutines that do what is due.
func openIdle(t testing.TB, o Options) *Manager {
	t.Helper()
	m, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func mustCreate(t testing.TB, m *Manager, p topic.Partition, c LogConfig) *Log {
	t.Helper()
	l, err := m.Create(p, CreateOptions{New: true, Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newTestLog returns an empty log in memory.
func newTestLog(t testing.TB, c LogConfig) *Log {
	t.Helper()
	return mustCreate(t, mustOpen(t, testOptions(vfs.NewMem())), orders, c)
}

// batchOpts describe a test batch.
type batchOpts struct {
	base      int64
	epoch     int32
	count     int   // 0: 1
	timestamp int64 // of the first record; the others follow by 1 ms each
	size      int   // bytes of each value; 0: 10
	producer  *record.ProducerInfo
	txn       bool
}

func batch(t testing.TB, o batchOpts) []byte {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{
		BaseOffset: o.base, LeaderEpoch: o.epoch, Producer: o.producer, Transactional: o.txn,
	})
	for i := range max(1, o.count) {
		value := make([]byte, max(o.size, 10))
		copy(value, fmt.Sprintf("v%d", i))
		if err := b.Append(record.Record{Timestamp: o.timestamp + int64(i), Key: []byte("k"), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// appendRecords appends count records as leader of an epoch.
func appendRecords(t testing.TB, l *Log, epoch int32, count int) Appended {
	t.Helper()
	a, err := l.AppendLeader(batch(t, batchOpts{count: count, timestamp: testNow}), AppendOptions{Epoch: epoch, Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// readAll returns the batches of [from, upTo) as they are in the files.
func readAll(t testing.TB, l *Log, from, upTo int64) []record.Batch {
	t.Helper()
	batches, err := readBatches(l, from, upTo)
	if err != nil {
		t.Fatal(err)
	}
	return batches
}

// fetch returns what Read finds, nil if that is nothing.
func fetch(l *Log, from int64, most int, upTo int64) ([]byte, error) {
	r, err := l.Read(from, most, upTo, true)
	if err != nil || r.Section == nil {
		return nil, err
	}
	defer r.Section.Release()
	data := make([]byte, r.Section.Size())
	if n, err := r.Section.ReadAt(data, 0); n < len(data) {
		return nil, err
	}
	return data, nil
}

func readBatches(l *Log, from, upTo int64) ([]record.Batch, error) {
	var batches []record.Batch
	for from < upTo {
		data, err := fetch(l, from, 1<<20, upTo)
		if err != nil || data == nil {
			return batches, err
		}
		before := from
		if err := record.Each(data, func(b record.Batch) error {
			batches = append(batches, append(record.Batch{}, b...))
			from = b.NextOffset()
			return b.Check()
		}); err != nil {
			return nil, err
		}
		if from == before {
			return nil, fmt.Errorf("no whole batch at %d in %d bytes", from, len(data))
		}
	}
	return batches, nil
}

// files lists the names in dir that end in suffix.
func files(t testing.TB, fsys vfs.FS, dir, suffix string) []string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name, suffix) {
			names = append(names, e.Name)
		}
	}
	return names
}

// mortal is a process that is killed and started again, and the log that it has. Nothing ends it but the test.
type mortal struct {
	t    testing.TB
	opts Options
	m    *Manager
	l    *Log
}

// newMortal starts on fsys, and creates a log.
func newMortal(t testing.TB, fsys vfs.FS, c LogConfig) *mortal {
	t.Helper()
	x := &mortal{t: t, opts: testOptions(fsys)}
	x.opts.TopicConfig = func(string) LogConfig { return c }
	x.start()
	x.l = mustCreate(t, x.m, orders, c)
	return x
}

func (x *mortal) start() {
	x.t.Helper()
	var err error
	if x.m, err = open(x.opts); err != nil {
		x.t.Fatal(err)
	}
	x.l = x.m.Log(orders)
}

// again kills the process and starts the next one.
func (x *mortal) again() {
	x.t.Helper()
	x.m.abandon()
	x.start()
}

// flush makes durable what the log has, and on disk how far that is.
func (x *mortal) flush() {
	x.t.Helper()
	if err := errors.Join(x.l.Flush(), x.m.dirs[0].checkpointRecoveryPoints()); err != nil {
		x.t.Fatal(err)
	}
}
