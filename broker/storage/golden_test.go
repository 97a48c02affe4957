package storage

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// goldenBatch is Kafka's own: base offset 5, epoch 4, producer 77 of epoch 3, sequence 9, two records.
const goldenBatch = "0000000000000005000000480000000402332c6b4200000000000100000000000003e800000000000003ed000000000000004d000300000009000000021a000000026b047631020268027810000a020104763200"

// TestFilesByteForByte compares everything that a log and its directory leave on the operating
// system's file system with what Kafka writes.
func TestFilesByteForByte(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(vfs.OS, dir)
	m := mustOpen(t, o)
	id, err := topic.ParseID("ASNFZ4mrze-BI0VniavN7w")
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultLogConfig()
	c.IndexIntervalBytes = 100
	c.SegmentBytes = 3 * len(goldenBatch) / 2
	l, err := m.Create(orders, CreateOptions{New: true, TopicID: id, Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(goldenBatch)
	if err != nil {
		t.Fatal(err)
	}
	// At 5 as it is, at 7 and 9 as a leader's; the third one begins a segment.
	if _, err := l.AppendFollower(slices.Clone(data)); err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{}
	for i, base := range []int64{7, 9, 11} {
		b := record.Batch(slices.Clone(data))
		b.SetBaseOffset(0)
		patchSequence(b, int32(11+2*i))
		stored := record.Batch(slices.Clone([]byte(b)))
		stored.SetBaseOffset(base)
		stored.SetLeaderEpoch(int32(4 + i))
		file := "orders-0/00000000000000000000.log"
		if base == 11 {
			file = "orders-0/00000000000000000011.log"
		}
		want[file] = append(want[file], stored...)
		if _, err := l.AppendLeader(b, AppendOptions{Epoch: int32(4 + i), Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	l.SetHighWatermark(11)
	if _, err := l.IncrementStartOffset(7); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	want["orders-0/00000000000000000000.log"] = append(slices.Clone(data), want["orders-0/00000000000000000000.log"]...)
	for file, text := range map[string]string{
		"recovery-point-offset-checkpoint": "0\n1\norders 0 13\n",
		"log-start-offset-checkpoint":      "0\n1\norders 0 7\n",
		"replication-offset-checkpoint":    "0\n1\norders 0 11\n",
		".kafka_cleanshutdown":             `{"version":0,"brokerEpoch":-1}`,
		".lock":                            "",
		"orders-0/partition.metadata":      "version: 0\ntopic_id: ASNFZ4mrze-BI0VniavN7w",
		"orders-0/leader-epoch-checkpoint": "0\n3\n4 7\n5 9\n6 11\n",
	} {
		want[file] = []byte(text)
	}
	for file, text := range map[string]string{
		// The third batch is the first one more than 100 bytes behind the last entry.
		"orders-0/00000000000000000000.index":     "0000000a000000a8",
		"orders-0/00000000000000000000.timeindex": "00000000000003ed00000006",
		"orders-0/00000000000000000011.index":     "",
		"orders-0/00000000000000000011.timeindex": "00000000000003ed00000001",
		"orders-0/00000000000000000011.snapshot":  snapshot(14, 10),
		"orders-0/00000000000000000013.snapshot":  snapshot(16, 12),
	} {
		want[file], _ = hex.DecodeString(text)
	}
	got := tree(t, dir)
	for file, data := range want {
		if !slices.Equal(got[file], data) {
			t.Errorf("%s holds\n%x, want\n%x", file, got[file], data)
		}
		delete(got, file)
	}
	for file := range got {
		t.Errorf("%s should not be there", file)
	}
}

// patchSequence changes a batch's base sequence, and the checksum.
func patchSequence(b record.Batch, sequence int32) {
	copy(b[53:], []byte{byte(sequence >> 24), byte(sequence >> 16), byte(sequence >> 8), byte(sequence)})
	crc := b.ComputeCRC()
	copy(b[17:], []byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)})
}

// tree returns the content of every file below dir.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// snapshot is the hex of a snapshot with producer 77 alone.
func snapshot(lastSequence int32, lastOffset int64) string {
	body := fmt.Sprintf("00000001"+"000000000000004d"+"0003"+"%08x"+"%016x"+"00000001"+"00000000000003ed"+"ffffffff"+"ffffffffffffffff", lastSequence, lastOffset)
	raw, _ := hex.DecodeString(body)
	return fmt.Sprintf("0001%08x%s", crc32c(raw), body)
}

func crc32c(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }
