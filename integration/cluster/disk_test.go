package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// eachDisk runs a test on every sort of disk that there is here.
func eachDisk(t *testing.T, test func(t *testing.T, d *Disk)) {
	if os.Geteuid() != 0 {
		t.Skip("a disk of one's own takes root")
	}
	for name, make := range map[string]func(int64) (*Disk, error){"tmpfs": NewDisk, "block": NewBlockDisk} {
		t.Run(name, func(t *testing.T) {
			d, err := make(16 << 20)
			if err != nil {
				t.Skipf("root, but no disk of one's own: %v", err) // as in a container
			}
			defer d.Close()
			test(t, d)
		})
	}
}

func write(d *Disk) error {
	return os.WriteFile(filepath.Join(d.Path(), "file"), make([]byte, 4096), 0o600)
}

func TestDiskFillsUp(t *testing.T) {
	eachDisk(t, func(t *testing.T, d *Disk) {
		if err := write(d); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(d.Path(), "file")); err != nil {
			t.Fatal(err)
		}
		if err := d.Fill(); err != nil {
			t.Fatal(err)
		}
		if err := write(d); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("write to a full disk: %v", err)
		}
		if err := d.Free(); err != nil {
			t.Fatal(err)
		}
		if err := write(d); err != nil {
			t.Errorf("write to a disk that is not full any more: %v", err)
		}
	})
}

// TestDiskFails: in the way that it is told to, and nothing that was written before is lost.
func TestDiskFails(t *testing.T) {
	eachDisk(t, func(t *testing.T, d *Disk) {
		for how, want := range map[DiskFault]error{Vanished: syscall.ENOENT, Broken: syscall.EIO, ReadOnly: syscall.EROFS} {
			open, err := os.Create(filepath.Join(d.Path(), "open"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := open.WriteString("kept"); err != nil {
				t.Fatal(err)
			}
			if err := d.Fail(how); errors.Is(err, errors.ErrUnsupported) {
				open.Close()
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if err := write(d); !errors.Is(err, want) {
				t.Errorf("fault %d: write: %v, want %v", how, err, want)
			}
			if _, err := open.WriteString(" and more"); (err == nil) != (how == Vanished) {
				t.Errorf("fault %d: write to an open file: %v", how, err)
			}
			open.Close()
			if err := d.Repair(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(d.Path(), "open"))
			if err != nil || !strings.HasPrefix(string(got), "kept") {
				t.Errorf("fault %d: after the repair %q, %v", how, got, err)
			}
			if err := write(d); err != nil {
				t.Errorf("fault %d: write after the repair: %v", how, err)
			}
		}
	})
}
