package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestClean: of each key the last value is left, at its offset, whoever asks for it how.
func TestClean(t *testing.T) {
	fsys := vfs.NewMem()
	m := openCleaner(t, fsys)
	l := mustCreate(t, m, orders, compactConfig())
	versions(t, l, 10, "a", "b", "c")
	active := l.active().Base()
	before := contents(t, l)
	if !cleanOnce(m) || cleanOnce(m) {
		t.Fatal("not cleaned once")
	}
	want := slices.DeleteFunc(slices.Clone(before), func(r string) bool { // of what was dirty the last versions
		var offset int64
		_, _ = fmt.Sscanf(r, "%d:", &offset)
		return offset < active-3
	})
	if got := contents(t, l); !slices.Equal(got, want) {
		t.Errorf("left: %q\nwant: %q", got, want)
	}
	if got := checkpointed(t, fsys, "data"); !slices.Equal(got, []string{fmt.Sprintf("orders-0:%d", active)}) {
		t.Errorf("cleaner-offset-checkpoint: %v", got)
	}
	if l.StartOffset() != 0 || l.EndOffset() != 30 {
		t.Errorf("log is %d to %d", l.StartOffset(), l.EndOffset())
	}
	if got := readAll(t, l, 3, l.EndOffset()); len(got) == 0 || got[0].BaseOffset() != active-3 {
		t.Errorf("read at an offset that was compacted away: %v", got)
	}
	if found, ok, err := l.LookupTimestamp(testNow - 5); !ok || err != nil || found.Offset != active-3 {
		t.Errorf("lookup by time: %v %v %v", found, ok, err)
	}
}

// TestCleanedFiles: the old segments' files stay for file.delete.delay.ms, and whoever reads from them goes on.
func TestCleanedFiles(t *testing.T) {
	fsys := vfs.NewMem()
	m := openCleaner(t, fsys)
	c := compactConfig()
	c.FileDeleteDelayMs = 0 // but no earlier than the scheduler runs, which is below
	l := mustCreate(t, m, orders, c)
	versions(t, l, 10, "a", "b", "c")
	bases := l.Segments()
	modified := time.UnixMilli(testNow - 3600_000)
	for _, s := range *l.segments.Load() {
		if err := s.SetLastModified(modified); err != nil {
			t.Fatal(err)
		}
	}
	r, err := l.Read(0, 1000, l.EndOffset(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Section.Release()
	c.SegmentBytes = 900 // two of them, and so one from two
	l.SetConfig(c)
	cleanAll(m)
	pending := files(t, fsys, l.Path(), segment.DeletedSuffix)
	for _, base := range bases[:len(bases)-1] {
		if name := segment.FileName(base, segment.LogExt) + segment.DeletedSuffix; !slices.Contains(pending, name) {
			t.Errorf("no %s among %v", name, pending)
		}
	}
	noLeftovers(t, fsys, l)
	if at, err := (*l.segments.Load())[0].LastModified(); err != nil || !at.Equal(modified) {
		t.Errorf("cleaned segment is of %v, want that of its sources, %v (%v)", at, modified, err)
	}
	data := make([]byte, r.Section.Size())
	if n, err := r.Section.ReadAt(data, 0); n != len(data) {
		t.Errorf("a reader of an old segment got %d of %d bytes: %v", n, len(data), err)
	}
	m.env.sched.runDue(context.Background())
	if pending := files(t, fsys, l.Path(), segment.DeletedSuffix); len(pending) > 0 {
		t.Errorf("not removed: %v", pending)
	}
	if now := l.Segments(); len(now) >= len(bases)-1 {
		t.Fatalf("segments %v became %v", bases, now)
	}
	snapshots := files(t, fsys, l.Path(), segment.SnapshotExt)
	for _, base := range bases[1:] {
		name := segment.FileName(base, segment.SnapshotExt)
		if is, want := slices.Contains(snapshots, name), slices.Contains(l.Segments(), base); is != want {
			t.Errorf("%s is there: %v, its segment: %v", name, is, want)
		}
	}
}

// TestCleanTwiceWithinDelay: a cleaned segment that is replaced in its turn has the name of one whose files are to be
// removed still. A reader that has the first one's place in mind must not get bytes of the second one.
func TestCleanTwiceWithinDelay(t *testing.T) {
	fsys := vfs.NewMem()
	o := cleanerOptions(fsys)
	o.MaxOpenFiles = 1
	m := openIdle(t, o)
	l := mustCreate(t, m, orders, compactConfig())
	versions(t, l, 10, "a", "b", "c")
	first := (*l.segments.Load())[0]
	cleanAll(m)
	second := (*l.segments.Load())[0]
	if first == second || first.Base() != second.Base() {
		t.Fatal("not replaced")
	}
	if _, err := first.Read(0, l.EndOffset(), 100, true); err != nil {
		t.Fatalf("the files of a replaced segment are not there any more: %v", err)
	}
	versions(t, l, 10, "a", "b", "c")
	cleanAll(m)
	if _, err := first.Read(1, l.EndOffset(), 100, true); !removed(err) {
		t.Errorf("read from a segment whose name another one has: %v", err)
	}
	m.env.sched.runDue(context.Background())
	if _, err := second.Read(0, l.EndOffset(), 100, true); err != nil {
		t.Errorf("the files of the segment replaced last are not there any more: %v", err)
	}
}

// TestTombstones: one stays for delete.retention.ms from the cleaning that has found it, and takes all before it along.
func TestTombstones(t *testing.T) {
	now := &clock{testNow}
	o := cleanerOptions(vfs.NewMem())
	o.Now = now.time
	m := openIdle(t, o)
	c := compactConfig()
	c.DeleteRetentionMs = 1000
	l := mustCreate(t, m, orders, c)
	versions(t, l, 5, "a", "b")
	put(t, l, "a")
	for i := range 8 { // the active segment is not cleaned
		put(t, l, fmt.Sprintf("filler%d=0", i))
	}
	cleanAll(m)
	has := func(text string) bool {
		return slices.ContainsFunc(contents(t, l), func(r string) bool { _, rest, _ := strings.Cut(r, ":"); return rest == text })
	}
	if !has("a") || has("a=4") || !has("b=4") {
		t.Fatalf("after the first cleaning: %q", contents(t, l))
	}
	now.now += 999
	versions(t, l, 8, "c")
	cleanAll(m)
	if !has("a") {
		t.Error("the tombstone has gone too early")
	}
	now.now++
	versions(t, l, 8, "c")
	cleanAll(m)
	if has("a") {
		t.Errorf("the tombstone is there after delete.retention.ms: %q", contents(t, l))
	}
}

// TestLastBatchLeavesItsHeader: the last segment that is cleaned still says where it ends, though all of its records
// have gone, here because their transaction was aborted.
func TestLastBatchLeavesItsHeader(t *testing.T) {
	m := openCleaner(t, vfs.NewMem())
	c := compactConfig()
	c.SegmentBytes = 100 // each batch has its own
	l := mustCreate(t, m, orders, c)
	lead := func(records []byte, origin record.Origin) {
		t.Helper()
		if _, err := l.AppendLeader(records, AppendOptions{Origin: origin, Now: testNow}); err != nil {
			t.Fatal(err)
		}
		l.SetHighWatermark(l.EndOffset())
	}
	txn := func(sequence int32, text string) []byte {
		return keyed(t, batchOpts{timestamp: testNow, txn: true, producer: &record.ProducerInfo{ID: 7, Sequence: sequence}}, text)
	}
	put(t, l, "a=1")
	lead(txn(0, "b=1"), record.Client)
	lead(record.AppendMarker(nil, record.MarkerOptions{ProducerID: 7, Timestamp: testNow}), record.Coordinator)
	c.SegmentBytes = 1000
	l.SetConfig(c)
	lead(txn(1, "b=2"), record.Client) // what is known of the producer is here from now on
	lead(record.AppendMarker(nil, record.MarkerOptions{Marker: record.Marker{Commit: true}, ProducerID: 7, Timestamp: testNow}), record.Coordinator)
	cleanAll(m)
	left := readAll(t, l, 0, l.EndOffset())
	if len(left) != 5 || left[1].Count() != 0 || left[1].LastOffset() != 1 {
		t.Fatalf("left: %x", left)
	}
}

// TestLastReplicatedBatchIsKept: what another leader may have this log truncate is no reason to drop the batch before it,
// from which a copy of the log learns of the producer.
func TestLastReplicatedBatchIsKept(t *testing.T) {
	m := openCleaner(t, vfs.NewMem())
	c := compactConfig()
	c.SegmentBytes = 100 // each batch has its own
	l := mustCreate(t, m, orders, c)
	for sequence := range int32(3) {
		for _, producer := range []*record.ProducerInfo{{ID: 7, Sequence: sequence}, nil} {
			records := keyed(t, batchOpts{timestamp: testNow, producer: producer}, "a=1")
			if _, err := l.AppendLeader(records, AppendOptions{Now: testNow}); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.SetHighWatermark(4)
	cleanAll(m)
	left := readAll(t, l, 0, 4)
	if !slices.ContainsFunc(left, func(b record.Batch) bool { return b.ProducerID() == 7 && b.BaseSequence() == 1 && b.Count() == 0 }) {
		t.Errorf("left: %x", left)
	}
}

// TestCleanRestart: what was cleaned is the same after a stop, and cleaning goes on where it was.
func TestCleanRestart(t *testing.T) {
	fsys := vfs.NewMem()
	m := openCleaner(t, fsys)
	l := mustCreate(t, m, orders, compactConfig())
	versions(t, l, 10, "a", "b", "c")
	cleanAll(m)
	want, cleaned := contents(t, l), l.cleaned.Load()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = openCleaner(t, fsys)
	l = m.Log(orders)
	if got := contents(t, l); !slices.Equal(got, want) || l.cleaned.Load() != cleaned {
		t.Errorf("after a restart %q, clean up to %d; before %q, %d", got, l.cleaned.Load(), want, cleaned)
	}
	if cleanOnce(m) {
		t.Error("cleaned again what is clean")
	}
}

// TestPartialMap: if there is no memory for the keys of all that is dirty, a cleaning ends where it was full.
func TestPartialMap(t *testing.T) {
	fsys := vfs.NewMem()
	o := cleanerOptions(fsys)
	o.Cleaner.DedupeBufferSize = 24 * 20
	m := openIdle(t, o)
	l := mustCreate(t, m, orders, compactConfig())
	for i := range 200 {
		put(t, l, fmt.Sprintf("k%d=%d", i%50, i))
	}
	n := 0
	for cleanOnce(m) {
		if n++; n == 2 && l.cleaned.Load() > 60 {
			t.Errorf("clean up to %d with memory for 18 keys at a time", l.cleaned.Load())
		}
	}
	if n < 3 {
		t.Errorf("%d cleanings", n)
	}
	state, err := consumeLog(l)
	if err != nil {
		t.Fatal(err)
	}
	for i := 150; i < 200; i++ {
		if key := fmt.Sprintf("k%d", i%50); state[key] != fmt.Sprint(i) {
			t.Errorf("%s is %s, want %d", key, state[key], i)
		}
	}
	if left := contents(t, l); len(left) > 50+30 { // the active segment, and the last dirty one
		t.Errorf("%d records are left", len(left))
	}
}

// TestUncleanable: a log with bytes that are no records is not cleaned, but served; others are cleaned.
func TestUncleanable(t *testing.T) {
	fsys := vfs.NewMem()
	m := openCleaner(t, fsys)
	bad, good := mustCreate(t, m, orders, compactConfig()), mustCreate(t, m, partition(1), compactConfig())
	versions(t, bad, 10, "a", "b", "c")
	versions(t, good, 10, "a", "b", "c")
	f, err := fsys.OpenFile(bad.Path()+"/00000000000000000000.log", vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 80); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for range 3 {
		cleanOnce(m)
	}
	if !bad.uncleanable.Load() || good.uncleanable.Load() || good.cleaned.Load() <= 0 || bad.Err() != nil {
		t.Errorf("bad: %v %v, good: %v %d", bad.uncleanable.Load(), bad.Err(), good.uncleanable.Load(), good.cleaned.Load())
	}
	noLeftovers(t, fsys, bad)
	versions(t, bad, 1, "d") // it takes records still
}
