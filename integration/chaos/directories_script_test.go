package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/history"
)

// A dirScript does harm to a log directory with a disk of its own, and looks at what comes of it.
type dirScript struct {
	*chaos
	disk   *ownDisk
	broker *keeper
}

func (s dirScript) await(ctx context.Context, what string, missing func() string) error {
	return s.world.await(ctx, what, missing)
}

// harm applies a fault to the disk and returns what undoes it.
func (s dirScript) harm(k kind) (undo func() error, err error) {
	h, err := s.world.hit(fault{kind: k, pick: slices.Index(s.world.disks, s.disk)})
	s.tell("%v %s", k, h.whom)
	if err == nil && h.undo == nil {
		err = errors.New(h.whom)
	}
	return h.undo, err
}

// holds returns the partitions with a replica in the directory.
func (s dirScript) holds() (all []history.Partition) {
	for topic, partitions := range allTopics() {
		for index := range partitions {
			p := history.Partition{Topic: topic, Index: index}
			if _, err := os.Stat(filepath.Join(s.disk.dir(), p.String())); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

// leadsNone has preferred leaders elected, and says so if the broker then leads nothing in the directory.
func (s dirScript) leadsNone() string {
	for _, p := range s.holds() {
		if state, err := s.world.registry.Partition(p.Topic, p.Index); err == nil && state.Leader == s.broker.broker.ID() {
			return ""
		}
	}
	return "leader elections: " + s.world.operator.elect()
}

// offline waits until the directory, and nothing else, counts as failed: its replicas are out of all ISRs and lead
// nothing, the broker's others are in sync, and it says so to whoever asks.
func (s dirScript) offline(ctx context.Context, lost []history.Partition) error {
	err := s.await(ctx, "replicas out of sync in the failed directory, and nowhere else", func() string {
		for topic, partitions := range allTopics() {
			for index := range partitions {
				p := history.Partition{Topic: topic, Index: index}
				state, err := s.world.registry.Partition(topic, index)
				if err != nil {
					return err.Error()
				}
				failed := slices.Contains(lost, p)
				if slices.Contains(state.ISR, s.broker.broker.ID()) == failed || state.Leader < 0 || failed && state.Leader == s.broker.broker.ID() {
					return fmt.Sprintf("%v: leader %d, ISR %v, failed: %v", p, state.Leader, state.ISR, failed)
				}
			}
		}
		return ""
	})
	if err != nil {
		return err
	}
	return s.await(ctx, "description of the failed directory", func() string { return s.misdescribed(ctx, lost) })
}

// misdescribed says in what the broker's answers about its directories are wrong; nothing is all right.
func (s dirScript) misdescribed(ctx context.Context, lost []history.Partition) string {
	dirs, err := s.world.operator.admin.DescribeBrokerLogDirs(ctx, s.broker.broker.ID(), nil)
	if err != nil {
		return err.Error()
	}
	for _, dir := range s.world.logDirs(int(s.broker.broker.ID())) {
		var want error
		if dir == s.disk.dir() {
			want = kerr.KafkaStorageError
		}
		if got, ok := dirs[dir]; !ok || !errors.Is(got.Err, want) {
			return fmt.Sprintf("%s: %v", dir, got.Err)
		}
	}
	for _, p := range lost {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp, partition.CurrentLeaderEpoch = p.Index, -1, -1
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: p.Topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{partition}}}
		answer, err := s.world.operator.client.Broker(int(s.broker.broker.ID())).Request(ctx, req)
		if err != nil {
			return err.Error()
		}
		if code := answer.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode; code != kerr.KafkaStorageError.Code {
			return fmt.Sprintf("offsets of %v: error %d", p, code)
		}
	}
	return ""
}

// untold says so if no further note came to the controller, or it has not been taken.
func (s dirScript) untold(before int) string {
	ever, left, err := s.world.registry.LogDirEvents()
	if err != nil || ever <= before || left > 0 {
		return fmt.Sprintf("%d notes before, %d now, %d not taken, %v", before, ever, left, err)
	}
	return ""
}

// open says which files of the disk a process has open: none of a disk that can be unmounted.
func (s dirScript) open(pid int) string {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		return fmt.Sprintf("process %d has no files open: %v", pid, err)
	}
	for _, fd := range fds {
		// A path on the disk begins at its top.
		if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, "/data/") {
			return name + " is open"
		}
	}
	return ""
}

// lacks returns what says so as long as a broker has not written a text.
func (o output) lacks(text string) func() string {
	return func() string {
		now, err := os.ReadFile(o.file)
		if err != nil || !strings.Contains(string(now[o.size:]), text) {
			return fmt.Sprintf("it does not say %q, %v", text, err)
		}
		return ""
	}
}
