package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// underLoad runs a cluster under load, has a script do harm to it, and holds what clients were told to the logs.
func underLoad(t *testing.T, script func(context.Context, *chaos) error) {
	if err := netns.Possible(); err != nil {
		t.Skipf("no chaos here: %v", err)
	}
	o := options{time: time.Minute, seed: 1, brokers: 3, dir: t.TempDir(), script: script,
		say: func(format string, args ...any) { t.Logf(format, args...) }}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// diskFaults are the ways in which a disk fails.
var diskFaults = []kind{fillDisk, loseDisk, breakDisk, protectDisk}

// inTurn runs a script with each of the kinds of harm.
func inTurn(ctx context.Context, kinds []kind, script func(context.Context, kind) error) error {
	for _, kind := range kinds {
		if err := script(ctx, kind); err != nil {
			return fmt.Errorf("%v: %w", kind, err)
		}
	}
	return nil
}

// TestDirectoryFails: one of a broker's two directories fails under load, in every way that a disk does. The broker
// goes on with the other; what it had in the failed one, compacted logs among it, is led elsewhere, and in sync once the
// disk is whole again and the broker restarted.
func TestDirectoryFails(t *testing.T) {
	underLoad(t, func(ctx context.Context, c *chaos) error {
		s := dirScript{c, c.world.disks[0], c.world.brokers[c.world.disks[0].broker-1]}
		if err := s.haveCompacted(ctx); err != nil {
			return err
		}
		return inTurn(ctx, diskFaults, s.fails)
	})
}

// TestStartWithoutDirectory: a broker is started while one of its directories is of no use, and goes on with the other.
func TestStartWithoutDirectory(t *testing.T) {
	underLoad(t, func(ctx context.Context, c *chaos) error {
		s := dirScript{c, c.world.disks[0], c.world.brokers[c.world.disks[0].broker-1]}
		return inTurn(ctx, []kind{loseDisk, breakDisk, protectDisk}, s.starts)
	})
}

// TestOnlyDirectoryFails: a broker ends with its only directory, cannot be started without it, and says why, while
// clients are served by the others.
func TestOnlyDirectoryFails(t *testing.T) {
	underLoad(t, func(ctx context.Context, c *chaos) error {
		s := dirScript{c, c.world.disks[1], c.world.brokers[c.world.disks[1].broker-1]}
		return inTurn(ctx, diskFaults, s.ends)
	})
}

// fails has the directory fail in a way, and waits for what must come of it.
func (s dirScript) fails(ctx context.Context, kind kind) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.await(ctx, "a leader in the directory", s.leadsNone); err != nil {
		return err
	}
	lost, begun, pid := s.holds(), time.Now(), s.broker.broker.PID()
	noted, _, err := s.world.registry.LogDirEvents()
	if err != nil {
		return err
	}
	undo, err := s.harm(kind)
	if err != nil {
		return err
	}
	if err := s.offline(ctx, lost); err != nil {
		return err
	}
	if err := s.await(ctx, "note to the controller, taken", func() string { return s.untold(noted) }); err != nil {
		return err
	}
	if err := s.await(ctx, "closed files", func() string { return s.open(pid) }); err != nil {
		return err
	}
	if now := s.broker.broker.PID(); now != pid {
		return fmt.Errorf("the broker has been started again: process %d was %d", now, pid)
	}
	return s.recovers(ctx, begun, undo)
}

// starts has the broker started with the directory in trouble.
func (s dirScript) starts(ctx context.Context, kind kind) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	lost, begun := s.holds(), time.Now()
	if err := s.broker.stop(); err != nil {
		return err
	}
	undo, err := s.harm(kind)
	s.broker.start()
	if err != nil {
		return err
	}
	if err := s.offline(ctx, lost); err != nil {
		return err
	}
	return s.recovers(ctx, begun, undo)
}

// ends has the broker's only directory fail.
func (s dirScript) ends(ctx context.Context, kind kind) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	begun, said := time.Now(), s.logged()
	undo, err := s.harm(kind)
	if err != nil {
		return err
	}
	if err := s.await(ctx, "end of the broker", said.lacks("all log directories have failed")); err != nil {
		return err
	}
	if kind != fillDisk { // what a start writes may find room
		if err := s.await(ctx, "refused start", said.lacks("none of the specified log dirs from")); err != nil {
			return err
		}
	}
	return s.recovers(ctx, begun, undo)
}

// recovers waits until clients have been served since the harm began, undoes it, and has everything recover.
func (s dirScript) recovers(ctx context.Context, begun time.Time, undo func() error) error {
	if err := s.served(ctx, begun); err != nil {
		return err
	}
	if err := undo(); err != nil {
		return err
	}
	return s.calm(ctx)
}

// output is what a broker has written so far.
type output struct {
	file string
	size int
}

func (s dirScript) logged() output {
	text, _ := os.ReadFile(s.broker.broker.LogFile())
	return output{s.broker.broker.LogFile(), len(text)}
}

// haveCompacted moves a replica of the compacted topic into the directory.
func (s dirScript) haveCompacted(ctx context.Context) error {
	req := fault{pick: 4} // accounts-0
	return s.await(ctx, "compacted log in the directory", func() string {
		if topic, partition := partitionOf(req.pick); topic != compactedTopic || partition != 0 {
			return fmt.Sprintf("%s-%d is not it", topic, partition)
		}
		if _, err := os.Stat(filepath.Join(s.disk.dir(), compactedTopic+"-0")); err == nil {
			return ""
		}
		return s.world.operator.move(req, s.broker.broker.ID(), s.disk.dir())
	})
}
