package compact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/record"
)

// cleaning is one that Kafka has done: see testdata/README.md.
type cleaning struct {
	start, end, retention int64
	before, after         []logSegment
	modified              map[int64]int64 // base offset of a segment before: ms
}

func readCleaning(t *testing.T, name string) cleaning {
	c := cleaning{modified: map[int64]int64{}}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		var s logSegment
		dir, file := path.Split(h.Name)
		if dir == "" {
			_, err = fmt.Sscan(string(data), &c.start, &c.end, &c.retention)
		} else if _, err = fmt.Sscanf(file, "%020d.log", &s.base); err == nil {
			s.batches = split(t, data)
		}
		if err != nil {
			t.Fatal(h.Name, err)
		}
		switch dir {
		case "before/":
			c.before = append(c.before, s)
			c.modified[s.base] = h.ModTime.UnixMilli()
		case "after/":
			c.after = append(c.after, s)
		}
	}
}

// TestCleansAsKafka has the logs cleaned that Kafka cleaned, and wants the batches that Kafka left.
func TestCleansAsKafka(t *testing.T) {
	names, err := filepath.Glob("testdata/*.tar.gz")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			c := readCleaning(t, name)
			for _, chunk := range []int{1 << 30, 700} {
				compareCleaning(t, c, chunk)
			}
		})
	}
}

func compareCleaning(t *testing.T, c cleaning, chunk int) {
	cleaner := cleaner{t: t, log: c.before, start: c.start, end: c.end, chunk: chunk, expired: map[int64]bool{}}
	cleaner.aborted = replay(t, c.before).between(0, c.start)
	cleaner.opts = FilterOptions{NowMs: c.now(), FirstUncleanable: c.end, DeleteRetentionMs: c.retention}
	lastClean := int64(0)
	for _, s := range c.before {
		if s.base < c.start {
			lastClean = c.modified[s.base] - c.retention
		}
	}
	for base, ms := range c.modified {
		cleaner.expired[base] = ms <= lastClean
	}
	groups := map[int64][]record.Batch{}
	for i, s := range c.after {
		to := c.end
		if i+1 < len(c.after) {
			to = c.after[i+1].base
		}
		if s.base < c.end {
			groups[s.base] = cleaner.group(s.base, to)
		}
	}
	for _, s := range c.after {
		if s.base < c.end {
			compareBatches(t, groups[s.base], s.batches)
		}
	}
}

// now finds out when Kafka cleaned the log: that, plus the time that tombstones stay, is the newest delete
// horizon. If there is none, any time will do that is later than those which Kafka has met.
func (c cleaning) now() int64 {
	newest := int64(0)
	for _, s := range slices.Concat(c.before, c.after) {
		for _, b := range s.batches {
			if ms, ok := b.DeleteHorizon(); ok {
				newest = max(newest, ms-c.retention)
			}
		}
	}
	return newest
}

func compareBatches(t *testing.T, got, want []record.Batch) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("batches begin at %v, want %v", offsets(got), offsets(want))
	}
	for i := range min(len(got), len(want)) {
		if diff := cmp.Diff(describe(t, want[i]), describe(t, got[i]), cmp.AllowUnexported(record.Headers{})); diff != "" {
			t.Errorf("batch %d (-Kafka +Gregor):\n%s", i, diff)
		}
	}
}

func offsets(batches []record.Batch) (all []int64) {
	for _, b := range batches {
		all = append(all, b.BaseOffset())
	}
	return all
}

// description is a batch without what depends on the compressor.
type description struct {
	Header  []byte
	Records []record.Record
}

func describe(t *testing.T, b record.Batch) description {
	t.Helper()
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	if b.Codec() == record.None {
		return description{Header: b}
	}
	d := description{Header: bytes.Clone(b[:min(len(b), record.HeaderSize)])}
	clear(d.Header[8:12])
	clear(d.Header[17:21])
	if b.Magic() < record.MagicV2 {
		d.Header = fmt.Append(nil, b.Magic(), b.BaseOffset(), b.Codec(), b.TimestampType(), b.MaxTimestamp())
	}
	for r, err := range b.Records() {
		if err != nil {
			t.Error(err)
		}
		d.Records = append(d.Records, r.Clone())
	}
	return d
}
