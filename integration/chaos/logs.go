package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/integration/history"
)

// place is where a replica is.
type place struct {
	broker int32
	logDir string
	part   history.Partition
}

// places returns where the replicas of some topics are on the disks, or says in what they are not those assigned.
func (w *world) places(of map[string]int32) (all []place, missing string) {
	for topic, partitions := range of {
		a, err := w.registry.Assignment(topic)
		if err != nil {
			return nil, err.Error()
		}
		for index := range partitions {
			p := history.Partition{Topic: topic, Index: index}
			assigned := a.Partitions[strconv.Itoa(int(index))]
			var found []int32
			for i := range w.brokers {
				for _, dir := range w.logDirs(i+1, len(w.brokers)) {
					if _, err := os.Stat(filepath.Join(dir, p.String())); err == nil {
						found = append(found, int32(i+1))
						all = append(all, place{int32(i + 1), dir, p})
					}
				}
			}
			slices.Sort(assigned)
			if !slices.Equal(found, assigned) {
				return nil, fmt.Sprintf("replicas of %v are on the disks of %v, assigned are %v", p, found, assigned)
			}
		}
	}
	return all, ""
}

// misplaced says which replicas are not where they should be, and only there, or are still being moved; nothing
// is all right.
func (w *world) misplaced() string {
	_, missing := w.places(allTopics())
	for i := range w.brokers {
		for _, dir := range w.logDirs(i+1, len(w.brokers)) {
			if moving, _ := filepath.Glob(filepath.Join(dir, "*-future")); len(moving) > 0 {
				return "still being moved: " + strings.Join(moving, ", ")
			}
		}
	}
	return missing
}

// unequal says which partitions' replicas are not of one size; nothing is all right.
func (w *world) unequal() string {
	places, missing := w.places(topics)
	if missing != "" {
		return missing
	}
	sizes := make(map[history.Partition]int64)
	for _, at := range places {
		segments, err := filepath.Glob(filepath.Join(at.logDir, at.part.String(), "*.log"))
		if err != nil {
			return err.Error()
		}
		var size int64
		for _, segment := range segments {
			info, err := os.Stat(segment)
			if err != nil {
				return err.Error() // just being replaced
			}
			size += info.Size()
		}
		if other, ok := sizes[at.part]; ok && other != size {
			return fmt.Sprintf("the replica of %v on broker %d has %d bytes, another one %d", at.part, at.broker, size, other)
		}
		sizes[at.part] = size
	}
	return ""
}

// replicas reads the logs of all brokers.
func (w *world) replicas() ([]history.Replica, error) {
	places, missing := w.places(topics)
	if missing != "" {
		return nil, errors.New(missing)
	}
	all := make([]history.Replica, len(places))
	for i, at := range places {
		var err error
		if all[i], err = history.Read(at.broker, at.logDir, at.part); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// crashes returns what brokers have logged of a kind that must never be.
func (w *world) crashes() []string {
	var bad []string
	for _, k := range w.brokers {
		if k == nil {
			continue
		}
		log, err := os.ReadFile(k.broker.LogFile())
		if err != nil {
			bad = append(bad, err.Error())
		}
		for _, sign := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if at := bytes.Index(log, []byte(sign)); at >= 0 {
				bad = append(bad, fmt.Sprintf("broker %d: %s", k.broker.ID(), log[at:min(at+3000, len(log))]))
			}
		}
	}
	return bad
}
