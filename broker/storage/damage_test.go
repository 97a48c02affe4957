package storage

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

var (
	faultsFlag = flag.Int("faults", 1000/int(faultStep()), "how many random faults of each kind the campaigns inject")
)

// campaignFaults returns how many faults of a kind to inject.
func campaignFaults() int {
	if testing.Short() {
		return *faultsFlag / 20
	}
	return *faultsFlag
}

// An expectation says what a start may come to after one file of a kind was damaged. Whatever it is, it is the same at
// the next start; nothing is lost without a line in the log, and what can be read is what was written.
type expectation struct {
	kind string
	is   func(name string) bool
	// offline: the directory may be offline, as Kafka's is (KafkaStorageException, CheckpointFileWithFailureHandler).
	offline bool
	// cuts: the log may end at the damage. Kafka's recovery cuts at the first batch that is not valid (LogSegment.recover).
	cuts bool
	// starts: the log may begin elsewhere, as log-start-offset-checkpoint says. If it is said to begin behind its end
	// Kafka removes it (LogLoader.recoverLog); here that has to be what the high watermark says, too.
	starts bool
	// watermark: the high watermark may be anything within the log.
	watermark bool
	// whole: not after a power loss. What that tore is found if the recovery point is right.
	whole bool
}

func hasExt(ext string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, logDir) && filepath.Ext(name) == ext }
}

func isFile(file string) func(string) bool {
	return func(name string) bool { return filepath.Base(name) == file }
}

// expectations has every kind of file.
//
//   - .log: below the recovery point, and everywhere after a clean stop, Kafka looks at nothing and serves the bytes
//     as they are; above it, recovery cuts. If leader epochs or producers have to be gathered from batches that cannot
//     be read, Kafka does not start; here the directory is offline.
//   - .index, .timeindex, .txnindex: a segment without one, or with one that cannot be, is recovered
//     (LogSegment.sanityCheck); an entry that does not lead to its batch is not followed. Lookups by timestamp,
//     and aborted transactions, follow entries that are possible.
//   - .snapshot: removed if its checksum is wrong (CorruptSnapshotException); an older one and the batches tell the rest.
//   - leader-epoch-checkpoint: built anew from the batches if it cannot be read, where Kafka fails the directory.
//   - partition.metadata: the directory fails (PartitionMetadataFile.read); another id than the controller's is refused later.
//   - offset checkpoints: taken as empty if they cannot be read.
//   - the mark of a clean stop: only that it is there counts.
//
// For cleaner-offset-checkpoint see TestDamagedCleanerCheckpoint, for meta.properties TestDamagedMetaProperties of
// package server.
var expectations = []expectation{
	{kind: "log", is: hasExt(segment.LogExt), cuts: true, offline: true},
	{kind: "offset index", is: hasExt(segment.IndexExt)},
	{kind: "time index", is: hasExt(segment.TimeExt)},
	{kind: "transaction index", is: hasExt(segment.TxnExt)},
	{kind: "producer snapshot", is: hasExt(segment.SnapshotExt)},
	{kind: "leader epochs", is: isFile(checkpoint.LeaderEpochs)},
	{kind: "topic id", is: isFile(checkpoint.PartitionMetadata), offline: true},
	{kind: "recovery points", is: isFile(checkpoint.RecoveryPoints), whole: true},
	{kind: "log starts", is: isFile(checkpoint.LogStarts), starts: true, watermark: true},
	{kind: "high watermarks", is: isFile(checkpoint.HighWatermarks), watermark: true},
	{kind: "clean stop", is: isFile(checkpoint.CleanShutdown)},
}

// A damage changes one file.
type damage struct {
	name string
	do   func(rng *rand.Rand, data []byte) (changed []byte, at int, there bool)
}

var damages = []damage{
	{"flipped bit", func(rng *rand.Rand, data []byte) ([]byte, int, bool) {
		data = bytes.Clone(data)
		at := rng.IntN(len(data))
		data[at] ^= 1 << rng.IntN(8)
		return data, at, true
	}},
	{"truncation", func(rng *rand.Rand, data []byte) ([]byte, int, bool) {
		at := rng.IntN(len(data))
		return data[:at], at, true
	}},
	{"removal", func(*rand.Rand, []byte) ([]byte, int, bool) { return nil, 0, false }},
}

// stopped is what a broker left: its files, all of them durable, and what a start makes of them.
type stopped struct {
	how   string
	files *vfs.Mem
	names []string
	want  opened
	// written is all that was ever appended and not truncated.
	written []record.Batch
	durable int64 // recovery point: what was cut off behind it is not missed
}

const powerLoss = "power loss"

// opened is what a start came to.
type opened struct {
	err        error
	lines      []string // what was logged as a warning or an error
	errors     int      // of these
	start, end int64
	hw         int64
	batches    []record.Batch
	readErr    error
}

// TestDamage flips bits of, cuts off and removes the files of a log, one at a time, after a clean stop, a kill and a
// power loss, and starts twice.
func TestDamage(t *testing.T) {
	campaign := seed.Of(t)
	stops := makeStops(t, campaign)
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			for i, e := range expectations {
				t.Run(e.kind, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(campaign, uint64(i)))
					for n := range campaignFaults() {
						damageOnce(t, rng, stops, d, e, n)
						if t.Failed() {
							return
						}
					}
				})
			}
		})
	}
}

func damageOnce(t *testing.T, rng *rand.Rand, stops []stopped, d damage, e expectation, n int) {
	t.Helper()
	s, file := pickFile(rng, stops, e)
	fsys := s.files.CrashClone(nil)
	data := read(t, fsys, file)
	changed, at, there := d.do(rng, data)
	if there {
		write(t, fsys, file, changed)
	} else {
		remove(t, fsys, file)
	}
	first, err := startAndStop(fsys)
	if err == nil {
		err = e.check(&s, first)
	}
	var second opened
	if err == nil {
		second, err = startAndStop(fsys)
	}
	if err == nil {
		err = sameAgain(first, second, e.cuts && there)
	}
	if err != nil {
		t.Errorf("%d: %s of %s at %d of %d bytes after a %s: %v\n%s\n--\n%s", n, d.name, file, at, len(data), s.how, err,
			strings.Join(first.lines, "\n"), strings.Join(second.lines, "\n"))
	}
}

// pickFile draws a file of a kind that is not empty. There is one: see everyKind.
func pickFile(rng *rand.Rand, stops []stopped, e expectation) (stopped, string) {
	for {
		s := stops[rng.IntN(len(stops))]
		if names := e.files(s); len(names) > 0 {
			return s, names[rng.IntN(len(names))]
		}
	}
}

// files returns the files of the kind.
func (e *expectation) files(s stopped) []string {
	if e.whole && s.how == powerLoss {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.names), func(name string) bool { return !e.is(name) })
}

// everyKind reports whether there is a file of every kind.
func everyKind(stops []stopped) bool {
	return !slices.ContainsFunc(expectations, func(e expectation) bool {
		return !slices.ContainsFunc(stops, func(s stopped) bool { return len(e.files(s)) > 0 })
	})
}

// check compares what a start after a damage came to with that without.
func (e *expectation) check(s *stopped, got opened) error {
	want := s.want
	loud := slices.ContainsFunc(got.lines, func(line string) bool { return !slices.Contains(want.lines, line) })
	switch {
	case got.err != nil && !(e.offline && errors.Is(got.err, ErrStorage) && got.errors == 1):
		return fmt.Errorf("open: %w", got.err)
	case got.err != nil:
		return nil
	case got.readErr != nil && !(e.cuts && (corrupt(got.readErr) || errors.Is(got.readErr, record.ErrShort))):
		return fmt.Errorf("read: %w", got.readErr)
	case got.start != want.start && !e.starts && !(e.cuts && loud):
		return fmt.Errorf("starts at %d, not %d", got.start, want.start)
	case got.end != want.end && !e.cuts:
		return fmt.Errorf("ends at %d, not %d", got.end, want.end)
	case got.end < min(want.end, s.durable) && !loud:
		return fmt.Errorf("ends at %d, not %d, and nothing is logged", got.end, want.end)
	case got.hw != want.hw && !e.watermark && !e.cuts:
		return fmt.Errorf("high watermark %d, not %d", got.hw, want.hw)
	}
	return e.checkBatches(s.written, want, got, loud)
}

// checkBatches requires the batches that were written, but for one that is damaged, and those that may be missing.
func (e *expectation) checkBatches(written []record.Batch, want, got opened, loud bool) error {
	damaged := 0
	byOffset := map[int64]record.Batch{}
	for _, b := range written {
		byOffset[b.BaseOffset()] = b
	}
	for _, b := range got.batches {
		if w, ok := byOffset[b.BaseOffset()]; !ok || !bytes.Equal(w, b) {
			damaged++
		}
	}
	missing := 0
	for _, b := range want.batches {
		if b.NextOffset() > got.start && b.BaseOffset() < got.end {
			missing++
		}
	}
	missing -= len(got.batches)
	switch {
	case damaged > 1 || damaged == 1 && !e.cuts:
		return fmt.Errorf("%d of %d batches are not what was written", damaged, len(got.batches))
	case missing > 0 && got.readErr == nil && damaged == 0 && !loud:
		return fmt.Errorf("%d batches are missing within the log, and nothing is logged", missing)
	}
	return nil
}

// sameAgain requires that a second start comes to what the first one came to. Which batches behind one with wrong offsets
// are found depends on where the index leads.
func sameAgain(first, second opened, damaged bool) error {
	same := func(a, b record.Batch) bool { return bytes.Equal(a, b) }
	if (first.err == nil) != (second.err == nil) || first.start != second.start || first.end != second.end ||
		!damaged && ((first.readErr == nil) != (second.readErr == nil) || !slices.EqualFunc(first.batches, second.batches, same)) {
		return fmt.Errorf("the second start differs: %d to %d, %v %v, %d batches; %d to %d, %v %v, %d batches",
			first.start, first.end, first.err, first.readErr, len(first.batches),
			second.start, second.end, second.err, second.readErr, len(second.batches))
	}
	return nil
}

// startAndStop starts on fsys, reads all of the log and stops cleanly.
func startAndStop(fsys vfs.FS) (o opened, err error) {
	logger, hook := logtest.NewNullLogger()
	opts := testOptions(fsys)
	opts.Logger = logger
	opts.TopicConfig = func(string) LogConfig { return crashConfig() }
	m, err := open(opts)
	o.err = err
	if err == nil {
		l := m.Log(orders)
		if l == nil {
			return o, errors.New("the log is gone")
		}
		o.start, o.end, o.hw = l.StartOffset(), l.EndOffset(), l.HighWatermark()
		if o.start < 0 || o.end < o.start || o.hw < o.start || o.hw > o.end {
			return o, fmt.Errorf("log %d to %d, high watermark %d", o.start, o.end, o.hw)
		}
		o.batches, o.readErr = consumeBatches(l)
		if err := lookUp(l, o); err != nil && o.readErr == nil {
			o.readErr = err
		}
		if err := l.online(); err != nil {
			return o, fmt.Errorf("reading fails the directory: %w", err)
		}
		if err := m.Close(); err != nil {
			return o, fmt.Errorf("stop: %w", err)
		}
	}
	for _, entry := range hook.AllEntries() {
		if entry.Level <= logrus.WarnLevel {
			o.lines = append(o.lines, fmt.Sprint(entry.Message, " ", entry.Data))
		}
		if entry.Level <= logrus.ErrorLevel {
			o.errors++
		}
	}
	return o, nil
}

// consumeBatches reads a log as a consumer that checks nothing does, and stops where it cannot go on.
func consumeBatches(l *Log) (batches []record.Batch, err error) {
	for at, end := l.StartOffset(), l.EndOffset(); at < end; {
		data, err := fetch(l, at, 1, end)
		if err != nil || data == nil {
			return batches, err
		}
		b, _, err := record.Next(data)
		if err == nil && b.NextOffset() <= at {
			err = fmt.Errorf("%w: batch %d to %d at %d", record.ErrCorrupt, b.BaseOffset(), b.NextOffset(), at)
		}
		if err != nil {
			return batches, err
		}
		batches = append(batches, b)
		at = b.NextOffset()
	}
	return batches, nil
}

// lookUp finds each batch by its offset, the last one first, and looks for timestamps and aborted transactions.
func lookUp(l *Log, o opened) error {
	for _, b := range slices.Backward(o.batches) {
		if b.BaseOffset() >= o.end {
			continue // a flipped bit of a base offset, which no checksum covers
		}
		data, err := fetch(l, max(o.start, b.BaseOffset()), 1, o.end)
		if err != nil {
			return err
		}
		if !bytes.Equal(data, b) {
			return fmt.Errorf("%w: another batch at %d", record.ErrCorrupt, b.BaseOffset())
		}
		if _, _, err := l.LookupTimestamp(b.MaxTimestamp()); err != nil {
			return fmt.Errorf("timestamp %d: %w", b.MaxTimestamp(), err)
		}
		if _, err := l.AbortedTransactions(b.BaseOffset(), int64(len(b)), o.end); err != nil {
			return fmt.Errorf("aborted transactions at %d: %w", b.BaseOffset(), err)
		}
	}
	_, _, err := l.MaxTimestamp()
	return err
}

// makeStops runs workloads, and ends them in three ways.
func makeStops(t *testing.T, seed uint64) []stopped {
	t.Helper()
	var stops []stopped
	add := func(how string, fsys *vfs.Mem, w *workload) {
		s := stopped{how: how, files: fsys, written: w.model.batches}
		for _, dir := range []string{"data", logDir} {
			s.names = append(s.names, notEmpty(t, fsys, dir)...)
		}
		var err error
		if s.want, err = startAndStop(fsys.CrashClone(nil)); err == nil {
			err = errors.Join(s.want.err, s.want.readErr)
		}
		if err != nil {
			t.Fatalf("after a %s: %v", how, err)
		}
		points, err := checkpoint.ReadOffsets(fsys, filepath.Join("data", checkpoint.RecoveryPoints))
		if err != nil {
			t.Fatal(err)
		}
		s.durable = points[orders]
		if len(s.want.batches) > 3 {
			stops = append(stops, s)
		}
	}
	for i := uint64(0); i < 20 || !everyKind(stops); i++ {
		if i == 1000 {
			t.Fatal("the workloads do not leave every kind of file")
		}
		mem := vfs.NewMem()
		w := newWorkload(t, seed+i, mem)
		if err := w.run(crashSteps); err != nil {
			t.Fatalf("workload %d: %v", seed+i, err)
		}
		for range crashSteps / 3 {
			if err := w.step(); err != nil {
				t.Fatalf("workload %d: %v", seed+i, err)
			}
		}
		add("kill", durable(t, mem), w)
		add(powerLoss, mem.CrashClone(rand.New(rand.NewPCG(seed, i))), w)
		if err := w.m.Close(); err != nil {
			t.Fatal(err)
		}
		add("clean stop", durable(t, mem), w)
	}
	return stops
}

func notEmpty(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := filepath.Join(dir, e.Name); !e.Dir && len(read(t, fsys, name)) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// durable copies a file system, all of it durable.
func durable(t *testing.T, from *vfs.Mem) *vfs.Mem {
	t.Helper()
	to := vfs.NewMem()
	var copyDir func(dir string)
	copyDir = func(dir string) {
		entries, err := from.ReadDir(dir)
		if err == nil {
			err = to.MkdirAll(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name)
			if e.Dir {
				copyDir(name)
				continue
			}
			write(t, to, name, read(t, from, name))
			if err := syncFile(to, name); err != nil {
				t.Fatal(err)
			}
		}
		if err := to.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	copyDir("data")
	if err := to.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	return to
}
