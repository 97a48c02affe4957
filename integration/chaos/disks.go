package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// ownDisk is a small disk for one log directory: the second one of the last broker, or the only one of the broker
// before it.
type ownDisk struct {
	*cluster.Disk
	broker  int
	second  bool
	trouble sync.Mutex // held while the disk is full or has failed
}

// dir returns the log directory. It is not the disk's top, where there is more than one would find in a log directory.
func (d *ownDisk) dir() string { return filepath.Join(d.Path(), "data") }

// size returns the bytes of the disk, where bytes are enough for half of a broker's replicas.
func (d *ownDisk) size(bytes int64) int64 {
	if d.second {
		return bytes
	}
	return 2 * bytes
}

// newDisks returns the disks of the last two of n brokers, where bytes are enough for half of a broker's replicas. Where
// there are no block devices to be had, they can only fill up and vanish.
func newDisks(n int, bytes int64, say func(string, ...any)) ([]*ownDisk, error) {
	disks := []*ownDisk{{broker: n, second: true}, {broker: n - 1}}
	made := cluster.NewBlockDisk
	for i, d := range disks {
		var err error
		if d.Disk, err = made(d.size(bytes)); err != nil && i == 0 {
			say("disks fill up and vanish, but fail in no other way: %v", err)
			made = cluster.NewDisk
			d.Disk, err = made(d.size(bytes))
		}
		if err != nil {
			return disks[:i], err
		}
	}
	return disks, nil
}

// logDirs returns the log directories of a broker.
func (w *world) logDirs(id int) []string {
	dirs := []string{filepath.Join(w.dir, fmt.Sprintf("broker-%d", id), "data")}
	for _, d := range w.disks {
		switch {
		case d.broker == id && d.second:
			dirs = append(dirs, d.dir())
		case d.broker == id:
			dirs = []string{d.dir()}
		}
	}
	return dirs
}

// keepDisks copies what is on the disks, which end with the run, into the directory that is left behind.
func (w *world) keepDisks() error {
	var errs error
	for _, d := range w.disks {
		to := filepath.Join(w.dir, fmt.Sprintf("broker-%d", d.broker), "disk")
		if _, err := os.Stat(d.dir()); err == nil { // or the disk has failed
			errs = errors.Join(errs, os.CopyFS(to, os.DirFS(d.dir())))
		}
	}
	return errs
}

func (w *world) fillDisk(f fault) (harm, error) { return w.trouble(f, (*cluster.Disk).Fill) }

func (w *world) loseDisk(f fault) (harm, error) { return w.failDisk(f, cluster.Vanished) }

func (w *world) breakDisk(f fault) (harm, error) { return w.failDisk(f, cluster.Broken) }

func (w *world) protectDisk(f fault) (harm, error) { return w.failDisk(f, cluster.ReadOnly) }

func (w *world) failDisk(f fault, how cluster.DiskFault) (harm, error) {
	return w.trouble(f, func(d *cluster.Disk) error { return d.Fail(how) })
}

// trouble does harm to a disk, and undoes it in the end. A log directory that has failed is used again after a restart.
func (w *world) trouble(f fault, do func(*cluster.Disk) error) (harm, error) {
	d := w.disks[f.pick%len(w.disks)]
	k := w.brokers[d.broker-1]
	whom := fmt.Sprintf("%s of %s", map[bool]string{true: "second directory", false: "directory"}[d.second], named(k))
	if !d.trouble.TryLock() {
		return harm{whom: whom + " (it is in trouble already)"}, nil
	}
	if err := do(d.Disk); errors.Is(err, errors.ErrUnsupported) {
		d.trouble.Unlock()
		return harm{whom: whom + outcome(err)}, nil
	} else if err != nil {
		d.trouble.Unlock()
		return harm{whom: whom}, err
	}
	return harm{whom, func() error {
		defer d.trouble.Unlock()
		k.kill()
		defer k.start()
		return errors.Join(d.Repair(), d.Free())
	}}, nil
}
