package server

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"time"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestDamagedMetaProperties flips bits of one of two meta.properties, and cuts it off. The directory is then offline or
// this broker's again, or the broker does not start because the file is another's; it never goes by what is wrong.
func TestDamagedMetaProperties(t *testing.T) {
	rng := seed.Rand(t)
	const brokerID, clusterID, faults = 7, "kXl2EVgbQP6d3wPRP7Zn0w", 1000
	damaged, whole := t.TempDir(), t.TempDir()
	meta := checkpoint.MetaProperties{BrokerID: brokerID, ClusterID: clusterID}
	if err := checkpoint.WriteMetaProperties(vfs.OS, whole, meta, time.Now()); err != nil {
		t.Fatal(err)
	}
	good := meta.AppendTo(nil, time.Now())
	outcomes := map[string]int{}
	for n := range 2 * faults {
		data := append([]byte(nil), good...)
		if at := rng.IntN(len(data)); n%2 == 0 {
			data[at] ^= 1 << rng.IntN(8)
		} else {
			data = data[:at]
		}
		if err := os.WriteFile(filepath.Join(damaged, checkpoint.MetaFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		outcome, err := identifyDamaged(damaged, whole, brokerID, clusterID)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		outcomes[outcome]++
	}
	for _, outcome := range []string{"offline", "refused", "written anew", "as it was"} {
		if outcomes[outcome] == 0 {
			t.Errorf("nothing was %s: %v", outcome, outcomes)
		}
	}
}

// identifyDamaged does what identify does with the files, and says what became of the damaged one.
func identifyDamaged(damaged, whole string, brokerID int32, clusterID string) (string, error) {
	dirs, unusable, err := readMeta([]string{damaged, whole}, silent())
	if err != nil {
		return "", err
	}
	if unusable[damaged] != nil {
		return "offline", nil
	}
	stored, err := agree(dirs, brokerID, clusterID)
	if err != nil {
		return "refused", nil
	}
	if stored != brokerID {
		return "", fmt.Errorf("the broker takes itself for %d", stored)
	}
	before := dirs[0].meta
	writeMeta(dirs, identity{brokerID: brokerID, clusterID: clusterID, unusable: unusable}, silent())
	after, _, err := checkpoint.ReadMetaProperties(vfs.OS, damaged)
	switch {
	case err != nil:
		return "", err
	case after.BrokerID != brokerID || after.ClusterID != clusterID || after.Version != 0:
		return "", fmt.Errorf("written as %+v", after)
	case before.BrokerID == brokerID && before.ClusterID == clusterID:
		return "as it was", nil
	}
	return "written anew", nil
}
