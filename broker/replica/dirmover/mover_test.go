package dirmover_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/replica/dirmover"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var orders = topic.Partition{Topic: "orders"}

// env is a broker's replicas in two log directories.
type env struct {
	t        *testing.T
	dirs     []string
	throttle *valve
	storage  *storage.Manager
	replicas *replica.Manager
	mover    *dirmover.Pool
}

// valve is a Throttle that lets nothing pass while it is shut.
type valve struct {
	shut  atomic.Bool
	bytes atomic.Int64
}

func (v *valve) Record(bytes int, _ time.Time) { v.bytes.Add(int64(bytes)) }

func (v *valve) Wait(time.Time) time.Duration {
	if v.shut.Load() {
		return time.Millisecond
	}
	return 0
}

func newEnv(t *testing.T) *env {
	e := &env{t: t, dirs: []string{t.TempDir(), t.TempDir()}, throttle: &valve{}}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *env) start() {
	e.t.Helper()
	null, _ := test.NewNullLogger()
	log := logrus.FieldLogger(null)
	config := storage.DefaultLogConfig()
	config.SegmentBytes = 200 << 10
	var err1, err2, err3 error
	e.storage, err1 = storage.Open(storage.Options{
		Dirs: e.dirs, Logger: log, InitialTaskDelay: time.Hour, TopicConfig: func(string) storage.LogConfig { return config },
	})
	e.mover, err2 = dirmover.New(dirmover.Options{Threads: 2, Throttle: e.throttle, Logger: log})
	if err := errors.Join(err1, err2); err != nil {
		e.t.Fatal(err)
	}
	e.replicas, err3 = replica.New(replica.Options{
		BrokerID: 1, Storage: e.storage, Mover: e.mover, Logger: log,
		TopicConfig: func(string) (storage.LogConfig, error) { return config, nil },
		BrokerEpoch: func() int64 { return 1 },
		Known:       func(p topic.Partition) bool { return p.Topic == "known" },
	})
	if err3 != nil {
		e.t.Fatal(err3)
	}
}

func (e *env) stop() {
	e.mover.Close()
	e.replicas.Close()
	if err := e.storage.Close(); err != nil {
		e.t.Error(err)
	}
}

// lead makes the broker lead, or follow, a partition.
func (e *env) lead(name topic.Partition, leader, epoch int32) *replica.Partition {
	e.t.Helper()
	errs, err := e.replicas.Apply(replica.Command{ControllerEpoch: 1, BrokerEpoch: -1}, []replica.PartitionState{{
		Partition: name, TopicID: topic.ID{1}, ControllerEpoch: 1, Leader: leader, LeaderEpoch: epoch, PartitionEpoch: epoch,
		ISR: []int32{leader}, Replicas: []int32{1, 2}, IsNew: true,
	}})
	if err := errors.Join(append(errs, err)...); err != nil {
		e.t.Fatal(err)
	}
	p, err := e.replicas.Partition(name)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

func batch(t testing.TB, base int64, epoch int32, size int) []byte {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{BaseOffset: base, LeaderEpoch: epoch})
	err := b.Append(record.Record{Timestamp: 1, Value: make([]byte, size)})
	if err != nil {
		t.Fatal(err)
	}
	data, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// append appends n batches, as the leader.
func (e *env) append(p *replica.Partition, n int) {
	e.t.Helper()
	for range n {
		if _, err := p.Append(batch(e.t, 0, 0, 1000), record.Client, false, 1); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *env) await(what string, done func() bool) {
	e.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("waited too long for: %s", what)
		}
	}
}

// other returns the directory in which p is not.
func (e *env) other(p *replica.Partition) string {
	return e.dirs[1-slices.Index(e.dirs, p.Log().Dir())]
}

// read returns the base offsets of all batches of a log.
func (e *env) read(l *storage.Log) (bases []int64) {
	e.t.Helper()
	for at := l.StartOffset(); at < l.EndOffset(); {
		r, err := l.Read(at, 1<<20, l.EndOffset(), true)
		if err != nil || r.Section == nil {
			e.t.Fatalf("read at %d: %v", at, err)
		}
		data := make([]byte, r.Section.Size())
		if _, err := r.Section.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
			e.t.Fatal(err)
		}
		r.Section.Release()
		for rest := data; len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err != nil {
				break
			}
			bases = append(bases, b.BaseOffset())
			at, rest = b.NextOffset(), next
		}
	}
	return bases
}

func (e *env) requireAll(l *storage.Log, n int) {
	e.t.Helper()
	bases := e.read(l)
	if len(bases) != n {
		e.t.Errorf("log in %s holds %d batches, want %d", l.Dir(), len(bases), n)
	}
	for i, base := range bases {
		if base != int64(i) {
			e.t.Fatalf("batch %d of the log in %s begins at %d", i, l.Dir(), base)
		}
	}
}

// TestMoveUnderLoad moves a partition to and fro while records are appended and read: none is lost or twice, and
// nobody notices.
func TestMoveUnderLoad(t *testing.T) {
	e := newEnv(t)
	p := e.lead(orders, 1, 0)
	e.append(p, 500)
	var wg sync.WaitGroup
	defer wg.Wait()
	var stop atomic.Bool
	defer stop.Store(true)
	// Each does something now and then, so that the move is not left without a processor.
	often := func(do func(i int64) error) {
		wg.Go(func() {
			pace := time.NewTicker(200 * time.Microsecond)
			defer pace.Stop()
			for i := int64(0); !stop.Load(); i++ {
				if err := do(i); err != nil {
					t.Error(err)
					return
				}
				<-pace.C
			}
		})
	}
	n := 500
	often(func(int64) error {
		_, err := p.Append(batch(t, 0, 0, 1000), record.Client, false, 1)
		if err == nil {
			n++
		}
		return err
	})
	often(func(i int64) error {
		read, err := p.ReadAll(i%500, 1000)
		if err != nil || read.Section == nil {
			return fmt.Errorf("cannot read: %v", err)
		}
		read.Section.Release()
		return nil
	})
	often(func(int64) error {
		_, err := e.replicas.Partition(orders)
		return err
	})
	often(func(int64) error {
		return p.View(func(log *storage.Log) error {
			_, _, err := log.LookupTimestamp(1)
			return err
		})
	})
	for range 4 {
		to := e.other(p)
		if err := e.replicas.AlterDir(orders, to); err != nil {
			t.Fatal(err)
		}
		e.await("the move to "+to, func() bool { return p.Log().Dir() == to })
	}
	stop.Store(true)
	wg.Wait()
	e.requireAll(p.Log(), n)
	if e.throttle.bytes.Load() < 4*500*1000 {
		t.Errorf("only %d bytes were counted", e.throttle.bytes.Load())
	}
	if e.storage.Future(orders) != nil || e.storage.Log(orders) != p.Log() {
		t.Error("a future log is left")
	}
}

func TestManyPartitionsMove(t *testing.T) {
	e := newEnv(t)
	var ps []*replica.Partition
	to := map[topic.Partition]string{}
	for i := range int32(20) {
		p := e.lead(topic.Partition{Topic: "many", Index: i}, 1, 0)
		e.append(p, 20)
		ps = append(ps, p)
		to[p.Partition] = e.other(p)
	}
	for name, dir := range to {
		if err := e.replicas.AlterDir(name, dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range ps {
		e.await("the move of "+p.String(), func() bool { return p.Log().Dir() == to[p.Partition] })
		e.requireAll(p.Log(), 20)
	}
}

// TestMoveIsCancelled: the directory where the replica is ends the move.
func TestMoveIsCancelled(t *testing.T) {
	e := newEnv(t)
	p := e.lead(orders, 1, 0)
	e.append(p, 10)
	from, to := p.Log().Dir(), e.other(p)
	e.throttle.shut.Store(true)
	for range 3 {
		if err := e.replicas.AlterDir(orders, to); err != nil || e.storage.Future(orders) == nil {
			t.Fatalf("move: %v", err)
		}
		if err := e.replicas.AlterDir(orders, to); err != nil { // again is no error
			t.Fatal(err)
		}
		if err := e.replicas.AlterDir(orders, from); err != nil || e.storage.Future(orders) != nil {
			t.Fatalf("cancel: %v", err)
		}
	}
	e.throttle.shut.Store(false)
	if err := e.replicas.AlterDir(orders, to); err != nil {
		t.Fatal(err)
	}
	e.await("the move", func() bool { return p.Log().Dir() == to })
	e.requireAll(p.Log(), 10)
}

// TestMoveGoesOnAfterRestart, with the first LeaderAndIsr.
func TestMoveGoesOnAfterRestart(t *testing.T) {
	e := newEnv(t)
	p := e.lead(orders, 1, 0)
	e.append(p, 100)
	to := e.other(p)
	e.throttle.shut.Store(true)
	if err := e.replicas.AlterDir(orders, to); err != nil {
		t.Fatal(err)
	}
	e.stop()
	e.throttle.shut.Store(false)
	e.start()
	if e.storage.Future(orders) == nil {
		t.Fatal("the future log is gone")
	}
	p = e.lead(orders, 1, 1)
	e.await("the move", func() bool { return p.Log().Dir() == to })
	e.requireAll(p.Log(), 100)
	if epoch, end, ok := p.Log().EpochEndOffset(1); !ok || epoch != 1 || end != 100 {
		t.Errorf("the leader's epoch ends at %d of %d", end, epoch)
	}
}

// TestTruncationDuringMove: what the log loses, its copy loses, whenever that happens.
func TestTruncationDuringMove(t *testing.T) {
	for _, missed := range []bool{false, true} {
		e := newEnv(t)
		p := e.lead(orders, 2, 0)
		f := replica.Following{Replica: p, Leader: 2, LeaderEpoch: 0}
		add := func(f replica.Following, from, to int64, epoch int32) {
			t.Helper()
			var data []byte
			for base := from; base < to; base++ {
				data = append(data, batch(t, base, epoch, 100)...)
			}
			if _, err := f.Append(&replica.Fetched{Offset: from, Records: data, HighWatermark: 5}); err != nil {
				t.Fatal(err)
			}
		}
		add(f, 0, 50, 0)
		to := e.other(p)
		e.throttle.shut.Store(true)
		if err := e.replicas.AlterDir(orders, to); err != nil {
			t.Fatal(err)
		}
		var buf []byte
		if _, caughtUp, err := p.CopyToFuture(&buf); err != nil || !caughtUp {
			t.Fatalf("copy: %v, %v", caughtUp, err)
		}
		p = e.lead(orders, 2, 3)
		f = replica.Following{Replica: p, Leader: 2, LeaderEpoch: 3}
		if missed { // as if the broker had stopped between the two
			if err := p.Log().TruncateTo(20); err != nil {
				t.Fatal(err)
			}
		} else {
			if _, err := f.Diverged(0, 20); err != nil {
				t.Fatal(err)
			}
			if end := e.storage.Future(orders).EndOffset(); end != 20 {
				t.Errorf("the future log ends at %d", end)
			}
		}
		add(f, 20, 70, 3)
		e.throttle.shut.Store(false)
		e.await("the move", func() bool { return p.Log().Dir() == to })
		e.requireAll(p.Log(), 70)
		for _, at := range []int64{0, 19, 20, 69} {
			if want := int32(at / 20 * 3); p.Log().EpochAt(at) != min(want, 3) {
				t.Errorf("missed %v: epoch at %d is %d", missed, at, p.Log().EpochAt(at))
			}
		}
	}
}

// TestStartOffsetDuringMove: the copy begins where the log begins, and DeleteRecords waits for it.
func TestStartOffsetDuringMove(t *testing.T) {
	e := newEnv(t)
	p := e.lead(orders, 1, 0)
	e.append(p, 300)
	if _, err := p.DeleteRecords(250); err != nil {
		t.Fatal(err)
	}
	to := e.other(p)
	e.throttle.shut.Store(true)
	if err := e.replicas.AlterDir(orders, to); err != nil {
		t.Fatal(err)
	}
	var buf []byte
	if _, _, err := p.CopyToFuture(&buf); err != nil {
		t.Fatal(err)
	}
	future := e.storage.Future(orders)
	if future.StartOffset() != 250 {
		t.Errorf("the future log starts at %d", future.StartOffset())
	}
	if _, err := p.DeleteRecords(280); err != nil {
		t.Fatal(err)
	}
	alive := func(int32) bool { return false }
	if low, err := p.LowWatermark(alive); err != nil || low != 250 {
		t.Errorf("low watermark %d, %v", low, err)
	}
	if _, _, err := p.CopyToFuture(&buf); err != nil {
		t.Fatal(err)
	}
	if low, err := p.LowWatermark(alive); err != nil || low != 280 {
		t.Errorf("low watermark %d, %v", low, err)
	}
	e.throttle.shut.Store(false)
	e.await("the move", func() bool { return p.Log().Dir() == to })
	if l := p.Log(); l.StartOffset() != 280 || l.EndOffset() != 300 || l.HighWatermark() != 300 {
		t.Errorf("log of %d to %d, high watermark %d", l.StartOffset(), l.EndOffset(), l.HighWatermark())
	}
}

// TestDirectoryFailsDuringMove: without the new directory the replica stays where it is; without the old one it
// is offline, and the copy is not taken for it.
func TestDirectoryFailsDuringMove(t *testing.T) {
	for _, old := range []bool{false, true} {
		e := newEnv(t)
		p := e.lead(orders, 1, 0)
		e.append(p, 10)
		from, to := p.Log().Dir(), e.other(p)
		e.throttle.shut.Store(true)
		if err := e.replicas.AlterDir(orders, to); err != nil {
			t.Fatal(err)
		}
		failed := to
		if old {
			failed = from
		}
		e.storage.FailDir(failed, errors.New("pulled out"))
		e.replicas.DirFailed(failed)
		e.throttle.shut.Store(false)
		if old {
			if _, err := e.replicas.Partition(orders); !errors.Is(err, storage.ErrStorage) {
				t.Errorf("old directory failed: %v", err)
			}
			if err := e.replicas.AlterDir(orders, to); !errors.Is(err, storage.ErrStorage) {
				t.Errorf("move of an offline replica: %v", err)
			}
			continue
		}
		if e.storage.Future(orders) != nil {
			t.Error("the future log is still there")
		}
		e.append(p, 10)
		e.requireAll(p.Log(), 20)
		if err := e.replicas.AlterDir(orders, to); !errors.Is(err, storage.ErrStorage) {
			t.Errorf("move to a failed directory: %v", err)
		}
	}
}

func TestDeletedDuringMove(t *testing.T) {
	e := newEnv(t)
	p := e.lead(orders, 1, 0)
	e.append(p, 10)
	e.throttle.shut.Store(true)
	if err := e.replicas.AlterDir(orders, e.other(p)); err != nil {
		t.Fatal(err)
	}
	errs, err := e.replicas.StopReplicas(replica.Command{ControllerEpoch: 1, BrokerEpoch: -1}, []replica.Stop{{Partition: orders, LeaderEpoch: -2, Delete: true}})
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	e.throttle.shut.Store(false)
	if e.storage.Log(orders) != nil || e.storage.Future(orders) != nil {
		t.Error("something is left of the replica")
	}
	e.append(e.lead(orders, 1, 0), 1)
}

func TestRefusals(t *testing.T) {
	e := newEnv(t)
	p := e.lead(orders, 1, 0)
	known, unknown := topic.Partition{Topic: "known", Index: 3}, topic.Partition{Topic: "unknown"}
	long := topic.Partition{Topic: string(make([]byte, 220))}
	for _, tt := range []struct {
		name topic.Partition
		dir  string
		want error
	}{
		{orders, "/nowhere", storage.ErrUnknownDir}, {known, "/nowhere", storage.ErrUnknownDir},
		{known, e.other(p), replica.ErrNotLeader}, {unknown, e.other(p), replica.ErrUnknownPartition},
		{long, e.other(p), replica.ErrNameTooLong}, {orders, p.Log().Dir(), nil},
	} {
		if err := e.replicas.AlterDir(tt.name, tt.dir); !errors.Is(err, tt.want) {
			t.Errorf("%.20s to %s: %v, want %v", tt.name, tt.dir, err, tt.want)
		}
	}
	// What is not here yet is created where it was wanted.
	if got := e.lead(known, 1, 0).Log().Dir(); got != e.other(p) {
		t.Errorf("created in %s", got)
	}
}
