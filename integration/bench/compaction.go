package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// versionsPerKey is how many versions of a key there are on average.
const versionsPerKey = 10

// cleanPatience is how long a broker may take for the cleaning, from when it may begin on.
const cleanPatience = 10 * time.Minute

// compaction measures what it costs to clean a log in which most records are superseded. The log is written while the
// topic is not compacted, so that all of it is cleaned at once.
func (b *bench) compaction(ctx context.Context) error {
	for round := range b.runs {
		for _, name := range b.brokers() {
			if err := b.compact(ctx, name, round); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// compact has one broker clean one log.
func (b *bench) compact(ctx context.Context, name report.System, round int) error {
	s, err := b.subject(name)
	if err != nil {
		return err
	}
	defer func() {
		s.Kill()
		os.RemoveAll(s.Dir())
	}()
	if _, err := b.start(ctx, s, 10*time.Millisecond, s.ready); err != nil {
		return err
	}
	versions := load.Versions{Records: b.records, Keys: max(1, b.records/versionsPerKey), PerBatch: 160}
	err = with(ctx, s, func(c *load.Conn) error {
		// Segments small enough that nearly all of the log may be cleaned, however long it is.
		properties := map[string]string{"segment.bytes": "50000000", "min.cleanable.dirty.ratio": "0.01"}
		if _, err := c.CreateReplicated(ctx, 1, 1, properties, topic); err != nil {
			return err
		}
		return versions.Produce(ctx, c, topic)
	})
	if err != nil {
		return err
	}
	time.Sleep(b.warm) // what the writing has left to do, such as syncs of segments, is not the cleaning's
	used, peak, err := b.clean(ctx, s)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	b.say("%s: cleaned %d records in %.1f CPU s, round %d", name, b.records, used.Seconds(), round+1)
	row := b.report.Row(fmt.Sprintf("compaction: %d records", b.records), "records per CPU s")
	row.Target = report.Target{Text: "≥ 3 × Kafka", Of: report.Kafka, Factor: 3, AtLeast: true}
	row.Add(name, float64(b.records)/used.Seconds())
	row = b.report.Row(fmt.Sprintf("compaction: %d records", b.records), "peak RSS MB")
	row.Add(name, peak)
	left, err := logBytes(filepath.Join(s.Data(), topic+"-0"))
	row = b.report.Row(fmt.Sprintf("compaction: %d records", b.records), "MB left of the log")
	row.Target = report.Target{Text: "≤ Kafka's, to the percent", Of: report.Kafka, Factor: 1.01}
	row.Add(name, float64(left)/1e6)
	return err
}

// logBytes returns the size of the .log files in a directory.
func logBytes(dir string) (n int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, nil
}

// clean has the log be compacted and returns the processor time that the broker takes until it is, and the most memory
// that it has meanwhile, in MB.
func (b *bench) clean(ctx context.Context, s *subject) (used time.Duration, peak float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cleanPatience, fmt.Errorf("nothing was cleaned within %v", cleanPatience))
	defer cancel()
	before, err := s.CPU()
	if err != nil {
		return 0, 0, err
	}
	if err := with(ctx, s, func(c *load.Conn) error { return c.SetProperty(ctx, topic, "cleanup.policy", "compact") }); err != nil {
		return 0, 0, err
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		rss, err := s.RSS()
		if err != nil {
			return 0, 0, err
		}
		peak = max(peak, float64(rss)/1e6)
		clean, err := cleaned(s.Data())
		if err != nil {
			return 0, 0, err
		}
		if clean {
			after, err := s.CPU()
			return after - before, peak, err
		}
		select {
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// cleaned reports whether the directory's cleaner-offset-checkpoint has the topic with an offset.
func cleaned(dir string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cleaner-offset-checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), topic+" 0 "); ok {
			offset, err := strconv.ParseInt(text, 10, 64)
			return offset > 0, err
		}
	}
	return false, err
}
