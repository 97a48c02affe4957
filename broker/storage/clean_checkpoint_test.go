package storage

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestDamagedCleanerCheckpoint flips bits of cleaner-offset-checkpoint, cuts it off and removes it, after a clean stop and
// after a kill. What cannot be read is taken as empty, and an offset beyond the end as none: the log is looked at as a
// whole once more. (Kafka's cleaner takes the directory offline if the file is malformed.) No record changes by that, and
// a consumer finds the last value of each key after further cleanings.
//
// An offset that is too high, but within the log, is believed, here and in Kafka: a tombstone may then go before what it
// deletes. Nothing is worse than that.
func TestDamagedCleanerCheckpoint(t *testing.T) {
	campaign := seed.Of(t)
	stops := cleanedStops(t, campaign)
	for i, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(campaign, uint64(i)))
			for n := range campaignFaults() {
				s := stops[rng.IntN(len(stops))]
				fsys := s.files.CrashClone(nil)
				path := filepath.Join("data", checkpoint.Cleaner)
				changed, _, there := d.do(rng, s.checkpoint)
				if !there {
					remove(t, fsys, path)
				} else {
					write(t, fsys, path, changed)
				}
				offsets, _ := checkpoint.ParseOffsets(changed)
				w := &cleanWorkload{workload: &workload{t: t}}
				*w.workload = *s.w.workload
				w.t = t
				check := w.checkAfterCrash
				if offsets[orders] > s.cleaned {
					check = w.startsAndCleans
				}
				if err := check(fsys, true); err != nil {
					t.Fatalf("%d: %q, was %q: %v", n, changed, s.checkpoint, err)
				}
			}
		})
	}
}

// cleanedStop is what a broker left that has cleaned.
type cleanedStop struct {
	w          *cleanWorkload
	files      *vfs.Mem
	checkpoint []byte
	cleaned    int64
}

// cleanedStops runs workloads that clean, and ends them with a kill and with a clean stop.
func cleanedStops(t *testing.T, seed uint64) (stops []cleanedStop) {
	t.Helper()
	for i := uint64(0); len(stops) < 20; i++ {
		mem := vfs.NewMem()
		w := newCleanWorkload(t, seed+i, mem)
		if err := w.run(cleanSteps); err != nil {
			t.Fatalf("workload %d: %v", seed+i, err)
		}
		cleanAll(w.m)
		cleaned := w.l.cleaned.Load()
		if cleaned <= 0 {
			w.m.Close()
			continue
		}
		killed := durable(t, mem)
		if err := w.m.Close(); err != nil {
			t.Fatal(err)
		}
		for _, files := range []*vfs.Mem{killed, durable(t, mem)} {
			data := read(t, files, filepath.Join("data", checkpoint.Cleaner))
			stops = append(stops, cleanedStop{w: w, files: files, checkpoint: data, cleaned: cleaned})
		}
	}
	return stops
}

// startsAndCleans requires of a log of which more counts as clean than is that it holds nothing but what was written.
func (w *cleanWorkload) startsAndCleans(fsys vfs.FS, _ bool) error {
	c := newCleanWorkload(w.t, 1, fsys)
	c.clock.now = w.clock.now + 1000
	if err := c.open(); err != nil {
		return err
	}
	defer c.m.Close()
	if err := w.check(c.l, &w.model); err != nil {
		return err
	}
	cleanAll(c.m)
	batches, err := readBatches(c.l, 0, c.l.EndOffset())
	if err == nil {
		err = subset(batches, w.model.batches)
	}
	if err == nil {
		err = c.l.online()
	}
	return err
}
