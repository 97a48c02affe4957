package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
				for _, dir := range w.logDirs(i + 1) {
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
		for _, dir := range w.logDirs(i + 1) {
			if moving, _ := filepath.Glob(filepath.Join(dir, "*-future")); len(moving) > 0 {
				return "still being moved: " + strings.Join(moving, ", ")
			}
		}
	}
	return missing
}

// unequal says which partitions' replicas are not equally long: of one size, or, as each is compacted for itself, with one
// end. Nothing is all right.
func (w *world) unequal() string {
	places, missing := w.places(topics)
	if missing != "" {
		return missing
	}
	lengths := make(map[history.Partition]int64)
	for _, at := range places {
		length, err := at.length()
		if err != nil {
			return err.Error() // just being replaced
		}
		if other, ok := lengths[at.part]; ok && other != length {
			return fmt.Sprintf("the replica of %v on broker %d has a length of %d, another one of %d", at.part, at.broker, length, other)
		}
		lengths[at.part] = length
	}
	return ""
}

// length returns what replicas that are equally long have in common.
func (p place) length() (int64, error) {
	if compacted(p.part.Topic) {
		r, err := history.Read(p.broker, p.logDir, p.part)
		return r.End(), err
	}
	listing, err := p.listing()
	var size int64
	for _, segment := range listing {
		size += segment.size
	}
	return size, err
}

// segment is a file of records, or one that is about to become one.
type segment struct {
	name    string
	size    int64
	written time.Time
}

func (p place) listing() (all []segment, err error) {
	names, err := filepath.Glob(filepath.Join(p.logDir, p.part.String(), "*.log*"))
	for _, name := range names {
		if strings.HasSuffix(name, ".deleted") || strings.HasSuffix(name, ".cleaned") {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		all = append(all, segment{name, info.Size(), info.ModTime()})
	}
	return all, err
}

// read reads a replica. While segments of it are being replaced, it tries again.
func (p place) read() (r history.Replica, err error) {
	for range 100 {
		before, begun := p.listing()
		r, err = history.Read(p.broker, p.logDir, p.part)
		after, ended := p.listing()
		swapping := slices.ContainsFunc(before, func(s segment) bool { return strings.HasSuffix(s.name, ".swap") })
		if begun == nil && ended == nil && !swapping && slices.Equal(before, after) {
			return r, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return r, cmp.Or(err, fmt.Errorf("%v of broker %d is being replaced all the time", p.part, p.broker))
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
		if all[i], err = at.read(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// signs are what no log may hold: those of crashes, and those of a Kafka broker that cannot read what one of Gregor's has left
// on its disk, in ZooKeeper, or has sent it.
var signs = []string{"panic:", "fatal error:", "DATA RACE",
	"CorruptIndexException", "CorruptRecordException", "CorruptSnapshotException", "InvalidRecordException",
	"InconsistentBrokerMetadataException", "InconsistentClusterIdException", "JsonProcessingException",
	"SchemaException", "UnsupportedVersionException", "InvalidRequestException", "BufferUnderflowException"}

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
		for _, sign := range signs {
			if at := bytes.Index(log, []byte(sign)); at >= 0 {
				bad = append(bad, fmt.Sprintf("broker %d: %s", k.broker.ID(), log[at:min(at+3000, len(log))]))
			}
		}
	}
	return bad
}
